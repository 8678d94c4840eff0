"""The command line: what it prints and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pictures import make_samples
from tests.servers.imgbang import PRESETS, ImgbangServer

pytestmark = pytest.mark.integration

TOKEN = "a token of tests, 32 characters.."
COMMANDS = ("serve", "check", "doctor", "explain", "purge")


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Path:
    (tmp_path / "presets.toml").write_text(PRESETS, encoding="utf-8")
    make_samples(tmp_path / "images")
    return tmp_path


def imgbang(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a directory with presets and pictures."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("IMGBANG_", "AWS_"))}
    settings = {"IMGBANG_STAGING_DIR": str(home / "staging"), "COLUMNS": "200", "NO_COLOR": "1", **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "proxy.cli", *arguments],
        cwd=home,
        env=inherited | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help(home: Path) -> None:
    """`imgbang --help` names every command."""
    done = imgbang(home, "--help")

    assert done.returncode == 0
    assert all(f"  {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each(home: Path, command: str) -> None:
    """Each command explains itself."""
    done = imgbang(home, command, "--help")

    assert done.returncode == 0
    assert f"imgbang {command}" in done.stdout or f"{command} [OPTIONS]" in done.stdout


def test_every_setting_is_a_flag(home: Path) -> None:
    """`serve --help` lists every setting with its variable."""
    from proxy.config import PREFIX, Settings

    text = " ".join(imgbang(home, "serve", "--help").stdout.split())

    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')} " in text
        assert f"{PREFIX}{name.upper()}" in text


@pytest.mark.parametrize("arguments", [("nonsense",), ("serve", "--nonsense"), ("explain",), ("purge",)])
def test_wrong_usage(home: Path, arguments: tuple[str, ...]) -> None:
    """A wrong command line ends with 2 and says what is wrong."""
    done = imgbang(home, *arguments)

    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


class TestCheck:
    """`imgbang check`."""

    def test_good(self, home: Path) -> None:
        """Good settings and presets end with 0."""
        done = imgbang(home, "check")

        assert done.returncode == 0
        assert "settings: ok" in done.stdout
        assert re.search(r"presets\.toml: ok, \d+ presets, digest [0-9a-f]{16}", done.stdout)

    def test_bad_presets(self, home: Path) -> None:
        """Every problem is printed with its line and field; the end is 1."""
        (home / "bad.toml").write_text(
            '[presets.a]\nwidth = "x"\nfit = "no"\n\n[presets.b]\nhieght = 3\n', encoding="utf-8"
        )

        done = imgbang(home, "check", "bad.toml")

        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert [line.split(" ")[0] for line in lines] == [
            "bad.toml:2:",
            "bad.toml:3:",
            "bad.toml:6:",
        ]
        assert "presets.a.width" in lines[0]
        assert "presets.a.fit" in lines[1]
        assert "did you mean" in lines[2]

    @pytest.mark.parametrize(
        ("content", "message"),
        [(None, "No such file"), (b"\xff\xfe", "not UTF-8"), (b"[presets.a\n", ":1")],
    )
    def test_unreadable(self, home: Path, content: bytes | None, message: str) -> None:
        """A file that is missing, not UTF-8 or not TOML is a problem, not a crash."""
        if content is not None:
            (home / "odd.toml").write_bytes(content)

        done = imgbang(home, "check", "odd.toml")

        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr

    def test_bad_settings(self, home: Path) -> None:
        """Wrong settings end with 2, all of them named at once; secrets are not repeated."""
        env = {
            "IMGBANG_PORT": "70000",
            "IMGBANG_DEADLINE": "soon",
            "IMGBANG_RESULTS": "ftp://x",
            "IMGBANG_SIGNING_KEYS": "hunter2",
        }

        done = imgbang(home, "check", env=env)

        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 4
        assert all(f"{name}=" in done.stderr for name in env)
        assert "hunter2" not in done.stderr

    @pytest.mark.parametrize("setting", ["IMGBANG_RESULTS", "IMGBANG_FOCAL_POINTS"])
    def test_same_place(self, home: Path, setting: str) -> None:
        """Results in the very place of the originals would become originals: refused."""
        done = imgbang(home, "check", env={setting: "file://./images"})

        assert done.returncode == 1
        assert setting in done.stderr
        assert "the same place as the originals" in done.stderr

    def test_unknown_variables(self, home: Path) -> None:
        """A variable that is no setting is probably a typo: a warning, not an error."""
        done = imgbang(home, "check", env={"IMGBANG_PROT": "8080"})

        assert done.returncode == 0
        assert "IMGBANG_PROT is not a setting" in done.stderr

    def test_what_the_settings_refuse(self, home: Path) -> None:
        """Presets that nobody would get are warned of, and only as long as nobody would."""
        logo = "aHR0cDovL2ltZy5leGFtcGxlLmNvbS9sb2dvLnBuZw=="  # http://img.example.com/logo.png
        (home / "odd.toml").write_text(
            f'originals = "private"\nadhoc = "signed"\n[presets.a]\ncommand = "watermark/1/image/{logo}"\n'
        )

        refused = imgbang(home, "check", "odd.toml")
        served = imgbang(
            home, "check", "odd.toml", env={"IMGBANG_SIGNING_KEYS": "AK:SK", "IMGBANG_MARK_HOSTS": "img.example.com"}
        )

        assert refused.returncode == served.returncode == 0
        assert 'originals = "private"' in refused.stderr
        assert 'adhoc = "signed"' in refused.stderr
        assert "presets.a: its watermark is on img.example.com" in refused.stderr
        assert served.stderr == ""


class TestExplain:
    """`imgbang explain`."""

    def test_preset(self, home: Path) -> None:
        """A preset is shown with its plan and the name of its result; nothing is fetched."""
        done = imgbang(home, "explain", "/no/such.jpg!auto", "--accept", "image/webp")

        assert done.returncode == 0
        first = json.loads(done.stdout)["readings"][0]
        assert (first["key"], first["presets"], first["target"]) == ("no/such.jpg", ["auto"], "webp")
        assert first["result"] == f"no/such.jpg!{first['fingerprint']}.webp"

    def test_like_the_server(self, home: Path, server: ImgbangServer) -> None:
        """The command and the page agree on the fingerprint."""
        said = json.loads(imgbang(home, "explain", "photo.jpg!thumb").stdout)["readings"][0]
        page = server.get("/-/explain/photo.jpg!thumb").json

        assert isinstance(page["plan"], dict)
        assert page["plan"]["fingerprint"] == said["fingerprint"]

    def test_refused(self, home: Path) -> None:
        """A URL that is refused ends with 1 and the same code as over HTTP."""
        done = imgbang(home, "explain", "/a/../b.jpg!thumb")

        assert done.returncode == 1
        assert json.loads(done.stdout)["code"] == "invalid_key"


class TestDoctor:
    """`imgbang doctor`."""

    def test_healthy(self, home: Path) -> None:
        """A good installation ends with 0 and says which formats it reads and writes."""
        done = imgbang(home, "doctor")

        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("jpeg", "png", "gif", "webp", "avif", "tiff", "bmp", "ico"):
            assert re.search(rf"{name}\W+yes\W+yes", done.stdout), name
        assert re.search(r"svg\W+no", done.stdout)
        assert not list((home / "images").glob("imgbang-doctor*"))

    def test_fonts(self, home: Path) -> None:
        """The fonts of this machine are found by drawing with them; without any, it says what would be boxes."""
        (home / "fonts").mkdir()
        config = home / "fonts.conf"
        config.write_text(f"<fontconfig><dir>{home / 'fonts'}</dir><cachedir>{home}</cachedir></fontconfig>")
        if shutil.which("fc-list") is None:
            pytest.skip("fc-list is not installed: whether doctor names the right fonts was not proven")
        has_chinese = bool(subprocess.run(["fc-list", ":charset=732b"], capture_output=True, check=True).stdout)

        here = imgbang(home, "doctor")
        bare = imgbang(home, "doctor", env={"FONTCONFIG_FILE": str(config), "IMGBANG_SANDBOX": "false"})

        assert bool(re.search(r"texts in Chinese, [^;]*are drawn \(", here.stdout)) == has_chinese, here.stdout
        assert re.search("boxes in place of Chinese, Japanese, Korean", bare.stdout), bare.stdout
        assert bare.returncode == 0

    def test_unreachable(self, home: Path) -> None:
        """A bucket that cannot be reached ends with 1 and says which; the rest is still examined."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            env = {
                "IMGBANG_ORIGINALS": "s3://bucket",
                "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{unused.getsockname()[1]}",
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "us-east-1",
            }
            done = imgbang(home, "doctor", env=env)

        assert done.returncode == 1
        assert re.search(r"originals\W+PROBLEM", done.stdout)
        assert re.search(r"results\W+ok", done.stdout)
        assert "Traceback" not in done.stdout + done.stderr


class TestPurge:
    """`imgbang purge`."""

    def test_in_the_store(self, home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Without a server the results are deleted where they are kept; again is harmless."""
        server = ImgbangServer(tmp_path_factory.mktemp("purge"))
        make_samples(server.originals)
        with server:
            for target in ("/photo.jpg!thumb", "/photo.jpg!small", "/alpha.png!thumb"):
                server.get(target)
        env = {"IMGBANG_RESULTS": server.results.as_uri()}

        counts = [
            imgbang(home, "purge", *arguments, env=env).stdout.split()[1]
            for arguments in (
                ("--key", "photo.jpg"),
                ("--key", "photo.jpg"),
                ("--preset", "thumb"),
                ("--prefix", "a"),
            )
        ]

        assert counts == ["2", "0", "1", "0"]

    def test_through_a_server(self, home: Path, server: ImgbangServer) -> None:
        """With a server it forgets what it holds in memory, too."""
        server.get("/turned.jpg!thumb")
        server.wait_quiet()
        before = server.metric("imgbang_renders_total")

        done = imgbang(
            home,
            "purge",
            *("--key", "turned.jpg", "--server", f"http://127.0.0.1:{server.port}"),
            env={"IMGBANG_ADMIN_TOKEN": TOKEN},
        )
        server.get("/turned.jpg!thumb")

        assert done.returncode == 0
        assert re.fullmatch(r"purged [1-9]\d* results\n", done.stdout)
        assert server.metric("imgbang_renders_total") == before + 1

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (("--key", "a.jpg", "--server", "{url}"), 1, "the server answered 401"),
            (("--key", "../a.jpg", "--server", "{url}", "--token"), 1, "contains the segment '..'"),
            (("--key", "a.jpg", "--server", "http://127.0.0.1:1"), 1, "the server cannot be reached"),
            (("--key", "a.jpg", "--server", "ftp://127.0.0.1"), 2, "http"),
            (("--preset", "nope"), 2, "there is no preset 'nope'"),
        ],
    )
    def test_refused(
        self, home: Path, server: ImgbangServer, arguments: tuple[str, ...], status: int, message: str
    ) -> None:
        """What cannot be purged is said on one line."""
        env = {"IMGBANG_ADMIN_TOKEN": TOKEN} if "--token" in arguments else {}
        given = [text.format(url=f"http://127.0.0.1:{server.port}") for text in arguments if text != "--token"]

        done = imgbang(home, "purge", *given, env=env)

        assert done.returncode == status
        assert message in done.stderr
        assert "Traceback" not in done.stderr


class TestServe:
    """`imgbang serve`."""

    def test_wrong_settings(self, home: Path) -> None:
        """Every problem is printed, from flags and variables; the end is 2 and nothing was started."""
        done = imgbang(
            home,
            *("serve", "--port", "x", "--max-frames", "0"),
            env={"IMGBANG_RENDER_WORKERS": "many", "IMGBANG_LOG_LEVEL": "loud", "IMGBANG_TYPO": "1"},
        )

        assert done.returncode == 2
        for name in (
            "PORT='x'",
            "MAX_FRAMES='0'",
            "RENDER_WORKERS='many'",
            "LOG_LEVEL='loud'",
            "TYPO is not a setting",
        ):
            assert f"IMGBANG_{name}" in done.stderr
        assert not (home / "staging").exists()

    def test_wrong_presets(self, home: Path) -> None:
        """Without good presets there is nothing to serve; every problem is printed with its line."""
        (home / "presets.toml").write_text('[presets.a]\nwidth = "x"\nfit = "no"\n', encoding="utf-8")

        done = imgbang(home, "serve", "--port", "0")

        assert done.returncode == 2
        assert "presets.toml:2:" in done.stderr
        assert "presets.toml:3:" in done.stderr

    def test_no_presets(self, home: Path) -> None:
        """A file of presets that is not there is said by name."""
        done = imgbang(home, "serve", "--port", "0", "--presets", "elsewhere.toml")

        assert done.returncode in (1, 2)
        assert "elsewhere.toml" in done.stderr
        assert "Traceback" not in done.stderr

    def test_port_in_use(self, home: Path, server: ImgbangServer) -> None:
        """A port that somebody else has is said on one line; the end is 1."""
        done = imgbang(home, "serve", "--port", str(server.port))

        assert done.returncode == 1
        assert "address already in use" in done.stderr
        assert str(server.port) in done.stderr
        assert "Traceback" not in done.stderr

    def test_flags_win(self, tmp_path: Path) -> None:
        """A flag overrides its variable."""
        server = ImgbangServer(
            tmp_path, env={"IMGBANG_MAX_AGE": "11", "IMGBANG_CDN_MAX_AGE": "0"}, arguments=("--max-age", "22")
        )
        make_samples(server.originals)
        with server:
            headers = server.get("/photo.jpg").headers

        assert headers["cache-control"].startswith("public, max-age=22,")
        assert "cdn-cache-control" not in headers
