"""Settings: read once, and every problem at once."""

from __future__ import annotations

import gc

import pytest

from proxy.config import Addressing, SettingsProblems, read_settings, store_settings, unknown_variables
from proxy.machine import spare_collections, usable_cpus, usable_memory
from proxy.setting_values import MIB, host_names, parse_signing_keys

pytestmark = pytest.mark.usefixtures("no_settings")


def problems_of(**flags: str) -> tuple[str, ...]:
    with pytest.raises(SettingsProblems) as caught:
        read_settings(flags)
    return caught.value.problems


def test_defaults() -> None:
    """Everything has a default, and the defaults are valid."""
    settings = read_settings()
    assert (settings.host, settings.port, settings.originals) == ("127.0.0.1", 8080, "file://./images")
    assert (settings.freshness, settings.negative_ttl) == (60, 10)
    assert settings.admin_token is None


def test_environment_and_flags(no_settings: pytest.MonkeyPatch) -> None:
    """A flag wins over its variable; an empty variable is no variable."""
    no_settings.setenv("IMGBANG_PORT", "9000")
    no_settings.setenv("IMGBANG_HOST", "0.0.0.0")
    no_settings.setenv("IMGBANG_DEADLINE", "")
    settings = read_settings({"port": "9001", "host": None})
    assert (settings.port, settings.host, settings.deadline) == (9001, "0.0.0.0", 15)


def test_every_problem_at_once(no_settings: pytest.MonkeyPatch) -> None:
    """Each line has the name, the value and what was expected."""
    no_settings.setenv("IMGBANG_PORT", "http")
    no_settings.setenv("IMGBANG_DEADLINE", "soon")
    no_settings.setenv("IMGBANG_CACHE_BYTES", "many")
    no_settings.setenv("IMGBANG_ORIGINALS", "ftp://host")
    no_settings.setenv("IMGBANG_RESULTS", "https://host")
    no_settings.setenv("IMGBANG_PRESETS", "s3://bucket")
    no_settings.setenv("IMGBANG_LOG_LEVEL", "loud")
    no_settings.setenv("IMGBANG_STAGING_BYTES", "1MiB")
    problems = problems_of(render_workers="0")

    assert {problem.partition(":")[0].partition("=")[0] for problem in problems} == {
        "IMGBANG_PORT", "IMGBANG_DEADLINE", "IMGBANG_CACHE_BYTES", "IMGBANG_ORIGINALS", "IMGBANG_RESULTS",
        "IMGBANG_PRESETS", "IMGBANG_LOG_LEVEL", "IMGBANG_STAGING_BYTES", "IMGBANG_RENDER_WORKERS",
    }  # fmt: skip
    assert len(problems) == 9
    text = "\n".join(problems)
    assert "IMGBANG_DEADLINE='soon': expected a time such as 15, 1.5, 500ms" in text
    assert "IMGBANG_CACHE_BYTES='many': expected a number of bytes such as" in text
    assert "IMGBANG_RENDER_WORKERS='0': input should be greater than or equal to 1" in text
    assert "IMGBANG_STAGING_BYTES='1MiB': expected at least IMGBANG_MAX_SOURCE_BYTES=67108864" in text
    assert "IMGBANG_PRESETS='s3://bucket': expected a file or s3://bucket/key" in text


def test_secrets_are_not_shown() -> None:
    """Neither in problems nor when settings are printed."""
    problems = problems_of(
        signing_keys="hunter2", originals="https://user:hunter2@", results="https://user:hunter2@host/x"
    )
    assert len(problems) == 3
    assert "hunter2" not in "".join(problems)
    settings = read_settings({"signing_keys": "a:hunter2", "admin_token": "hunter2", "redis": "redis://:hunter2@host"})
    assert "hunter2" not in repr(settings)
    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("text", "size"),
    [("1048576", MIB), ("1MiB", MIB), ("1 mb", MIB), ("1m", MIB), ("1.5M", MIB * 3 // 2), ("2g", 2048 * MIB), ("1024k", MIB), ("0", 0)],
)  # fmt: skip
def test_bytes(text: str, size: int) -> None:
    """Bytes are written as people write them; all units are binary."""
    assert read_settings({"cache_bytes": text}).cache_bytes == size


@pytest.mark.parametrize("text", ["", " ", "-1", "1x", "MiB", "1e9", "0x10", "9" * 400, "1,5M"])
def test_what_is_no_number_of_bytes(text: str) -> None:
    """Anything else is a problem, also what would overflow."""
    assert len(problems_of(cache_bytes=text)) == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("15", 15), ("1.5", 1.5), ("500ms", 0.5), ("15 s", 15), ("2m", 120), ("0.01h", 36)]
)
def test_times(text: str, seconds: float) -> None:
    """Times are seconds, or have a unit."""
    assert read_settings({"deadline": text}).deadline == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-1", "0", "nan", "inf", "1y", "1d", "9" * 400])
def test_what_is_no_deadline(text: str) -> None:
    """Anything else is a problem, also what is out of bounds."""
    assert len(problems_of(deadline=text)) == 1


@pytest.mark.parametrize(
    "url",
    ["file://./images", "file:///srv/images", "file://localhost/srv", "s3://bucket", "s3://bucket/pre/fix", "https://host", "http://host:8080/path", "https://[::1]/x"],
)  # fmt: skip
def test_places_of_originals(url: str) -> None:
    """Directories, buckets and origins."""
    assert read_settings({"originals": url}).originals == url


@pytest.mark.parametrize(
    "url",
    ["", "none", "images", "/srv/images", "file://images/x", "file://", "s3://", "s3://a", "s3://bu cket", "https://", "https://host?x=1", "https://host:99999", "https://[", "ftp://host"],
)  # fmt: skip
def test_no_places_of_originals(url: str) -> None:
    """What cannot hold originals says what could."""
    assert problems_of(originals=url)[0].startswith("IMGBANG_ORIGINALS=")


@pytest.mark.parametrize(
    "url",
    ["redis://cache", "redis://cache:6380/2", "redis://:secret@cache/0", "rediss://me:secret@[::1]:6379/15", "unix:///run/redis.sock?db=1"],
)  # fmt: skip
def test_redis(url: str) -> None:
    """A host, with port, database and password, with TLS or without, or a socket."""
    assert read_settings({"redis": url}).redis == url


@pytest.mark.parametrize(
    "url", ["cache:6379", "redis://", "redis://:secret@", "redis://cache:port", "redis://cache/db", "http://cache", "unix://"]
)  # fmt: skip
def test_no_redis(url: str) -> None:
    """What is no Redis is a problem at the start, without the password that may be in it."""
    problems = problems_of(redis=url)
    assert len(problems) == 1
    assert problems[0].startswith("IMGBANG_REDIS=(not shown): ")
    assert "secret" not in problems[0]


def test_results_none() -> None:
    """Results need not be kept."""
    assert read_settings({"results": "none"}).results == "none"


@pytest.mark.parametrize(
    "presets", ["presets.toml", "/etc/imgbang/presets.toml", "s3://bucket/presets.toml", "s3://bucket/a/b"]
)
def test_presets(presets: str) -> None:
    """A file or an object."""
    assert read_settings({"presets": presets}).presets == presets


@pytest.mark.parametrize("presets", ["s3://bucket", "s3://bucket/", "s3:///key", "https://host/presets.toml"])
def test_no_presets(presets: str) -> None:
    """A bucket without a key, and other kinds of URL, are problems at the start, not tracebacks later."""
    assert len(problems_of(presets=presets)) == 1


def test_relation_of_staging_and_source_bytes() -> None:
    """An original is staged whole; the check follows the larger of the two."""
    read_settings({"max_source_bytes": "10MiB", "staging_bytes": "10MiB"})
    assert "at least IMGBANG_MAX_SOURCE_BYTES=" in problems_of(max_source_bytes="2GiB")[0]


@pytest.mark.parametrize("link", ["tcp://10.0.0.1:80", "udp://10.0.0.1:80"])
def test_service_link(no_settings: pytest.MonkeyPatch, link: str) -> None:
    """Kubernetes sets IMGBANG_PORT when a Service is called imgbang; that is not our port."""
    no_settings.setenv("IMGBANG_PORT", link)
    assert read_settings().port == 8080


def test_unknown_variables(no_settings: pytest.MonkeyPatch) -> None:
    """Typos are named; what Kubernetes sets for Services is none."""
    for name in (
        "IMGBANG_PROT", "IMGBANG_PORT", "IMGBANG_SERVICE_HOST", "IMGBANG_SERVICE_PORT", "IMGBANG_SERVICE_PORT_HTTP",
        "IMGBANG_PORT_80_TCP", "IMGBANG_PORT_80_TCP_ADDR", "IMGBANG_REDIS_SERVICE_HOST", "IMGBANG_REDIS_PORT_6379_TCP_PROTO",
        "IMGBANG_DEADLINES",
    ):  # fmt: skip
        no_settings.setenv(name, "x")
    assert unknown_variables() == ("IMGBANG_DEADLINES", "IMGBANG_PROT")


def test_signing_keys() -> None:
    """Pairs for rotation; a secret may hold colons."""
    assert parse_signing_keys("a:1, b:2:3,") == {"a": "1", "b": "2:3"}
    for wrong in ("a", "a:", ":1", "a:1,b"):
        with pytest.raises(ValueError, match="access:secret"):
            parse_signing_keys(wrong)


def test_section_for_the_stores() -> None:
    """Stores see their own section; the pool is larger than all slots that use it together."""
    settings = read_settings(
        {"fetch_slots": "10", "save_slots": "5", "http_hosts": " CDN.example , ", "s3_addressing": "path"}
    )
    section = store_settings(settings)
    assert section.pool > 15
    assert section.http_hosts == ("cdn.example",)
    assert section.s3_addressing is Addressing.PATH


def test_usable_machine() -> None:
    """There is at least one processor, and some memory."""
    assert usable_cpus() >= 1
    assert usable_memory() > 64 * MIB


def test_mark_hosts() -> None:
    """Host names without a scheme; anything else is a problem."""
    assert host_names(" IMG.example.com, cdn.example.com:8080,") == {"img.example.com", "cdn.example.com:8080"}
    for wrong in ("https://img.example.com", "img.example.com/x", "a b", "user@host"):
        assert len(problems_of(mark_hosts=wrong)) == 1


@pytest.mark.parametrize("value", ["png", "avif,avif", "webp;jxl"])
def test_auto_formats(value: str) -> None:
    """Only formats that a browser can be asked about, each once."""
    assert "expected avif, webp and jxl" in problems_of(auto_formats=value)[0]


def test_what_is_loaded_is_not_looked_at_again() -> None:
    """After the start, a full collection has next to nothing to do."""
    everything = len(gc.get_objects())
    try:
        spare_collections()
        left = len(gc.get_objects())
    finally:
        gc.unfreeze()
    assert left < everything / 50
