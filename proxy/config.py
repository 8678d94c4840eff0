"""The settings: environment variables with the prefix `IMGBANG_`, each also a flag of `serve`.

This is the only module that reads the environment. Everything is read and checked once, before anything starts, and
every problem is reported at once with its name, its value and what was expected. Each component then receives its own
frozen section and nothing else. `docs/configuration.md` is generated from the descriptions below.

AWS's own variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL_S3`, `AWS_REGION`, …) are read by the AWS client library
itself, as in every AWS tool, and are not repeated here.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from proxy.machine import usable_cpus, usable_memory
from proxy.setting_values import (
    BUCKET,
    MIB,
    Bytes,
    Seconds,
    checked_redis_url,
    checked_store_url,
    host_names,
    parse_signing_keys,
    words_of,
)

PREFIX = "IMGBANG_"


class SettingsProblems(Exception):
    """The settings are wrong; `problems` lists every problem, one line each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Addressing(StrEnum):
    """Where an S3 URL names the bucket."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class Settings(BaseSettings):
    """Every setting with its default and what it means."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True, env_ignore_empty=True
    )

    originals: str = Field(
        "file://./images",
        description="Where the originals are: `file://…`, `s3://bucket[/prefix]`, `https://host[/path]`.",
    )
    results: str = Field(
        "file://./.imgbang/results",
        description="Where results are kept: `file://…`, `s3://bucket[/prefix]` or `none`. "
        "May be the originals' own bucket with a prefix.",
    )
    presets: str = Field(
        "presets.toml", description="The presets: a file, or `s3://bucket/key`, shared by all replicas."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one and logs it.")
    redis: str | None = Field(
        None,
        repr=False,
        description="Optional Redis, `redis://[user:password@]host[:port][/db]`, `rediss://…` for TLS: replicas with "
        "the same stores then share renders, looks at originals, purges and edits of presets. Needs the extra `redis`.",
    )
    admin_token: SecretStr | None = Field(
        None,
        min_length=1,
        description="Enables the admin API under `/-/api/`; sent as `Authorization: Bearer …`. Use 32 random bytes.",
    )
    focal_points: str = Field(
        "",
        description="Where focal points told to the admin API are kept: `file://…`, `s3://bucket/prefix` or `none`. "
        "Without it, and with an admin token, `.imgbang/focal` among the originals; with an HTTP origin, nowhere.",
    )
    signing_keys: SecretStr | None = Field(
        None, description="`access:secret,…`: keys for private URLs; several for rotation."
    )
    mark_hosts: str = Field(
        "",
        description="Hosts, separated by commas, whose URLs name originals of ours when a command asks for a watermark "
        "image by URL: `img.example.com`. Nothing is ever fetched from such a URL.",
    )
    mark_origins: str = Field(
        "",
        description="Hosts, separated by commas, from which watermark images that a command names by URL are fetched. "
        "Private addresses are refused like those of an HTTP origin.",
    )
    render_workers: int = Field(
        default_factory=usable_cpus,
        ge=1,
        le=256,
        description="Processes that render. Default: the usable CPUs (cgroup-aware).",
    )

    deadline: Seconds = Field(15.0, gt=0, le=300, description="Time for the whole answer, waiting included.")
    fetch_timeout: Seconds = Field(10.0, gt=0, le=300, description="Time to bring one original to local disk.")
    render_timeout: Seconds = Field(
        10.0, gt=0, le=300, description="Time for one render; the worker is killed after it."
    )
    connect_timeout: Seconds = Field(2.0, gt=0, le=60, description="Time to connect to a bucket or origin.")
    read_timeout: Seconds = Field(
        5.0, gt=0, le=120, description="Longest silence while reading from a bucket or origin."
    )
    fetch_slots: int = Field(32, ge=1, le=1024, description="Originals fetched at the same time.")
    fetch_queue: int = Field(256, ge=0, le=10_000, description="Requests that may wait to fetch; more get 503.")
    stream_slots: int = Field(64, ge=1, le=4096, description="Originals passed through to clients at the same time.")
    render_queue: int = Field(64, ge=0, le=10_000, description="Requests that may wait to render; more get 503.")
    queue_wait: Seconds = Field(8.0, gt=0, le=60, description="Longest wait for a slot; then 503 with Retry-After.")

    max_source_bytes: Bytes = Field(64 * MIB, ge=1024, description="Largest original, in bytes.")
    max_source_pixels: int = Field(
        100_000_000,
        ge=1,
        le=2_000_000_000,
        description="Largest original, in pixels over all frames that are kept; from the header.",
    )
    max_frames: int = Field(300, ge=1, le=10_000, description="Most frames of an animation.")
    animation_seconds: Seconds = Field(
        7.0, gt=0, le=300, description="Time to read and to write an animation, within IMGBANG_RENDER_TIMEOUT."
    )
    over_budget: Literal["fewer", "first", "refuse"] = Field(
        "fewer",
        description="What happens to an animation with more frames, pixels or work than allowed: `fewer` frames with "
        "the total time kept, the `first` frame, or `refuse`. A preset's `over_budget` overrides it.",
    )
    max_result_side: int = Field(8192, ge=1, le=30_000, description="Longest side of a result, in pixels.")
    max_result_pixels: int = Field(40_000_000, ge=1, description="Largest result, in pixels over all frames.")
    memory_budget: Bytes = Field(
        default_factory=lambda: max(64 * MIB, usable_memory() * 4 // 10),
        ge=64 * MIB,
        description="Estimated bytes of decoded pixels in all renders together. Default: 40 % of the memory limit.",
    )
    svg: bool = Field(
        default=False, description="Render SVG originals (to PNG). Off: they are only served as they are, sandboxed."
    )

    max_svg_bytes: Bytes = Field(MIB // 2, ge=1024, description="Largest SVG, in bytes, unpacked.")
    pdf: bool = Field(
        default=False,
        description="Render the first page of PDF originals; needs the extra `pdf`. Off: they are only "
        "served for download.",
    )
    auto_formats: str = Field(
        "avif,webp",
        description='What `format = "auto"` chooses from, the preferred one first: `avif`, `webp`, and `jxl`, which '
        "needs the extra `formats`. Browsers that name none of them get JPEG, PNG or GIF.",
    )

    cache_bytes: Bytes = Field(128 * MIB, ge=0, description="Results kept in memory; 0 switches this cache off.")
    cache_entry_bytes: Bytes = Field(2 * MIB, ge=0, description="Largest result kept in memory.")
    freshness: Seconds = Field(
        60.0, ge=0, description="A result is served unchecked for so long after its original was seen."
    )
    negative_ttl: Seconds = Field(
        10.0, ge=0, le=3600, description="A missing or broken original is remembered for so long."
    )
    max_age: Seconds = Field(
        3600.0, ge=0, description="`Cache-Control: max-age` of results; a preset's `cache` overrides it."
    )
    cdn_max_age: Seconds = Field(
        86400.0,
        ge=0,
        description="`CDN-Cache-Control: max-age` of results: for caches that a purge reaches. 0: header not sent.",
    )
    nginx_max_age: Seconds = Field(
        1.0,
        ge=0,
        description="`X-Accel-Expires` of results: after so long nginx in front asks whether its copy is still right. "
        "Whole seconds; 0: header not sent, and our nginx configuration keeps nothing.",
    )
    stale_while_revalidate: Seconds = Field(60.0, ge=0, description="`stale-while-revalidate` of results.")
    stale_if_error: Seconds = Field(86400.0, ge=0, description="`stale-if-error` of results.")

    staging_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "imgbang-staging",
        description="Originals that cannot be read where they lie are brought here to be rendered; swept at start.",
    )
    staging_bytes: Bytes = Field(1024 * MIB, ge=MIB, description="Most bytes in the staging directory.")
    save_bytes: Bytes = Field(
        64 * MIB, ge=0, description="Most bytes of results waiting to be saved; more are not saved."
    )
    save_slots: int = Field(8, ge=1, le=256, description="Results saved at the same time.")
    worker_max_tasks: int = Field(2000, ge=1, description="A render worker is replaced after so many renders.")
    worker_memory: Bytes = Field(
        0,
        ge=0,
        description="Hard limit to the memory of one render worker; what needs more is refused with 413 or 422. "
        "0: `IMGBANG_MEMORY_BUDGET` and 256 MiB for the libraries.",
    )
    render_cpu: int = Field(
        8,
        ge=1,
        le=300,
        description="Seconds of CPU time for one render; what needs more is refused with 422. Where the processors are "
        "too busy to give so much within `IMGBANG_RENDER_TIMEOUT`, the answer is 504.",
    )
    exif_gps: bool = Field(
        default=False,
        description="Tell positions in EXIF reports, as the vendors do: whoever has the URL can then see where a photo "
        "was taken. Purge stored reports after a change.",
    )
    sandbox: bool = Field(
        default=True,
        description="Keep render workers from the network, other programs, and every file but libraries, fonts, the "
        "staging directory and the originals they are handed, as far as the kernel can; `imgbang doctor` says how far "
        "that is.",
    )
    worker_max_memory: Bytes = Field(
        512 * MIB, ge=64 * MIB, description="A render worker that holds more resident memory than this is replaced."
    )

    s3_addressing: Addressing = Field(
        Addressing.AUTO,
        description="`path`, `virtual`, or `auto`: path style where an endpoint is configured, virtual on AWS itself.",
    )
    s3_denied_is_missing: bool = Field(
        default=False,
        description="Treat S3's 403 as 'no such key': what S3 answers for a missing key without the list permission.",
    )
    http_hosts: str = Field(
        "", description="For an HTTP origin: further host names that redirects may lead to, separated by commas."
    )
    http_private: bool = Field(
        default=False, description="For an HTTP origin: allow private, loopback and link-local addresses."
    )

    shutdown_grace: Seconds = Field(
        20.0, ge=0, le=300, description="At SIGTERM: time for requests and pending saves together to finish."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`: one object per line; `console`: for people; `auto`: as a terminal is there or not."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags first, then the environment; no dotenv files, no secret directories."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings

    @field_validator("originals", "results")
    @classmethod
    def _check_store_url(cls, value: str) -> str:
        return checked_store_url(value)

    @field_validator("results")
    @classmethod
    def _check_results(cls, value: str) -> str:
        if value.startswith(("http://", "https://")):
            raise ValueError("an HTTP origin cannot be written to; expected file://, s3:// or none")
        return value

    @field_validator("focal_points")
    @classmethod
    def _check_focal_points(cls, value: str) -> str:
        return cls._check_results(checked_store_url(value)) if value else value

    @field_validator("originals")
    @classmethod
    def _check_originals(cls, value: str) -> str:
        if value == "none":
            raise ValueError("expected file://, s3:// or https://")
        return value

    @field_validator("redis")
    @classmethod
    def _check_redis(cls, value: str | None) -> str | None:
        return None if value is None else checked_redis_url(value)

    @field_validator("signing_keys")
    @classmethod
    def _check_signing_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_signing_keys(value.get_secret_value())
        return value

    @field_validator("mark_hosts", "mark_origins")
    @classmethod
    def _check_mark_hosts(cls, value: str) -> str:
        host_names(value)
        return value

    @field_validator("auto_formats")
    @classmethod
    def _check_auto_formats(cls, value: str) -> str:
        names = words_of(value)
        if not set(names) <= {"avif", "webp", "jxl"} or len(set(names)) != len(names):
            raise ValueError("expected avif, webp and jxl, each at most once, separated by commas")
        return value

    @field_validator("presets")
    @classmethod
    def _check_presets(cls, value: str) -> str:
        if "://" in value and not re.fullmatch(rf"s3://{BUCKET}/.*[^/]", value):
            raise ValueError("expected a file or s3://bucket/key")
        return value

    @field_validator("staging_bytes")
    @classmethod
    def _check_staging_bytes(cls, value: int, info: ValidationInfo) -> int:
        # Here and not over the whole, so that it is reported together with all other problems.
        most = info.data.get("max_source_bytes", 0)
        if value < most:
            raise ValueError(f"expected at least IMGBANG_MAX_SOURCE_BYTES={most}: an original is staged whole")
        return value


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the stores need to know: time-outs, pool size and the rules of each kind."""

    connect_timeout: float = 2.0
    read_timeout: float = 5.0
    pool: int = 48
    """Connections to one bucket or origin: more than all slots that use them together."""
    max_bytes: int = 64 * MIB
    s3_addressing: Addressing = Addressing.AUTO
    s3_denied_is_missing: bool = False
    http_hosts: tuple[str, ...] = ()
    http_private: bool = False


def store_settings(settings: Settings) -> StoreSettings:
    """The section for the stores."""
    return StoreSettings(
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        pool=settings.fetch_slots + settings.save_slots + 8,
        max_bytes=settings.max_source_bytes,
        s3_addressing=settings.s3_addressing,
        s3_denied_is_missing=settings.s3_denied_is_missing,
        http_hosts=tuple(host.strip().lower() for host in settings.http_hosts.split(",") if host.strip()),
        http_private=settings.http_private,
    )


def read_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the environment and `flags` (which win); raises SettingsProblems with every problem at once."""
    _drop_service_links()
    try:
        return Settings(**{name: value for name, value in (flags or {}).items() if value is not None})
    except ValidationError as error:
        raise SettingsProblems(tuple(_problem(detail) for detail in error.errors())) from None


def unknown_variables() -> tuple[str, ...]:
    """Names in the environment that begin with the prefix and are no setting: typos, most likely."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = (name for name in os.environ if name.startswith(PREFIX) and name not in known)
    return tuple(sorted(name for name in unknown if not _SERVICE_LINK.fullmatch(name)))


_SERVICE_LINK = re.compile(rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""What Kubernetes gives every pod for a Service whose name begins with "imgbang"."""


def _drop_service_links() -> None:
    # For a Service that is called just "imgbang" it is IMGBANG_PORT=tcp://10.0.0.1:80, which is a setting's name.
    if re.match(r"(tcp|udp|sctp)://", os.environ.get("IMGBANG_PORT", "")):
        del os.environ["IMGBANG_PORT"]


_SECRET = {"admin_token", "signing_keys", "redis"}


def _problem(detail: Any) -> str:
    """One line: the name, the value and what was expected; a secret's value is not shown."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    if not detail["loc"]:
        return message
    name = str(detail["loc"][0])
    value = "(not shown)" if name in _SECRET else _without_password(repr(detail.get("input")))[:80]
    return f"{PREFIX}{name.upper()}={value}: {message[0].lower()}{message[1:]}"


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//(not shown)@", text)
