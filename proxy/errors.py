"""Everything that can go wrong, as one tree.

    ProxyError
    ├── InvalidRequest            the URL cannot be understood
    │   ├── InvalidKey            …because of the key in it
    │   └── InvalidCommand        …because of a command or an argument in it
    ├── Unauthorized              a token is missing, wrong or expired
    │   └── TokenRequired         …it would open what is protected
    ├── Forbidden                 understood, but not allowed here
    │   ├── OriginalsProtected
    │   └── AdhocRefused
    ├── OriginalNotFound
    │   └── UnknownPreset
    ├── MethodRefused
    ├── OriginalTooLarge          more bytes, pixels or frames than allowed
    ├── NotAnImage                not an image, or of a kind that is not allowed
    ├── CannotRender              an image, but it cannot be rendered
    │   ├── TruncatedImage
    │   ├── ResultTooLarge
    │   ├── MarkMissing
    │   ├── TooCostly
    │   └── RenderCrashed
    ├── RangeRefused              a byte range outside of the representation
    ├── PreconditionFailed        If-Match or If-Unmodified-Since does not hold
    ├── OriginUnavailable         the bucket or origin failed or refused us
    │   ├── OriginalChanged       …it was written over while it was read
    │   └── OriginRefused         …it is well, and refuses us
    ├── Overloaded                no room; come back later
    └── DeadlinePassed
        └── ClientGone            nobody is waiting for the answer any more

An error is raised where the fact is known. Its message is written for the client: it names the thing and what was
expected, and never holds a path of this machine, a host name or a library's own message; those belong into the
`cause` (`raise … from error`), which is logged. `web/errors.py` alone knows which HTTP status belongs to which class.
"""

from __future__ import annotations


class ProxyError(Exception):
    """The root: something went wrong, and the message may be shown to the client."""

    code = "internal_error"
    """A stable, machine-readable name of the case; part of the public interface."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[type[ProxyError], tuple[str], dict[str, object]]:
        # Errors travel from render workers to the front through pickle, with what else they carry.
        return type(self), (self.message,), self.__dict__


class InvalidRequest(ProxyError):
    """The URL or a header cannot be understood."""

    code = "invalid_request"


class InvalidKey(InvalidRequest):
    """The path does not name a key that a store may hold."""

    code = "invalid_key"


class InvalidCommand(InvalidRequest):
    """A preset suffix, ad-hoc size or vendor command is malformed."""

    code = "invalid_command"


class Unauthorized(ProxyError):
    """A token is missing, wrong or expired."""

    code = "unauthorized"


class TokenRequired(Unauthorized):
    """Originals are protected: only presets are served without a valid token."""

    code = "originals_protected"


class Forbidden(ProxyError):
    """The request is understood, but not allowed here."""

    code = "forbidden"


class OriginalsProtected(Forbidden):
    """Originals are protected: only presets are served."""

    code = "originals_protected"


class AdhocRefused(Forbidden):
    """The ad-hoc size or command is not one that presets.toml allows."""

    code = "adhoc_refused"


class OriginalNotFound(ProxyError):
    """The store has no such key."""

    code = "original_not_found"


class UnknownPreset(OriginalNotFound):
    """The store has no such key, and what follows its last separator is not a preset."""

    code = "unknown_preset"


class MethodRefused(ProxyError):
    """Only GET, HEAD and OPTIONS are answered."""

    code = "method_not_allowed"


class OriginalTooLarge(ProxyError):
    """The original has more bytes, pixels, frames or bands than allowed."""

    code = "original_too_large"


class NotAnImage(ProxyError):
    """The original is not an image, or an image of a kind that is not allowed."""

    code = "not_an_image"


class CannotRender(ProxyError):
    """The original is an image of a known kind, but it cannot be rendered."""

    code = "cannot_render"


class TruncatedImage(CannotRender):
    """The original ends too early, and the preset refuses half pictures."""

    code = "truncated_image"


class ResultTooLarge(CannotRender):
    """The picture that was asked for would be larger than allowed."""

    code = "result_too_large"


class MarkMissing(CannotRender):
    """The image of a watermark does not exist."""

    code = "mark_missing"


class RenderCrashed(CannotRender):
    """The original crashed a render worker twice."""

    code = "render_crashed"


class TooCostly(CannotRender):
    """Rendering the original took more CPU time than one render may have."""

    code = "too_costly"


class RangeRefused(ProxyError):
    """The byte range lies outside of the representation, `size` bytes long."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, size: int = 0) -> None:
        super().__init__(message)
        self.size = size


class PreconditionFailed(ProxyError):
    """If-Match or If-Unmodified-Since does not hold for the current representation."""

    code = "precondition_failed"


class OriginUnavailable(ProxyError):
    """The bucket or origin failed, refused us or does not answer."""

    code = "origin_unavailable"


class OriginalChanged(OriginUnavailable):
    """The original was written over while it was read: what was read is half of each. Asking again may do."""


class OriginRefused(OriginUnavailable):
    """The bucket or origin is well and refuses us: permissions, archived objects. Says nothing about its health."""


class Overloaded(ProxyError):
    """There is no room for this request now; `retry_after` says in how many seconds to come back."""

    code = "overloaded"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlinePassed(ProxyError):
    """The answer was not ready within the time allowed."""

    code = "deadline_passed"


class ClientGone(DeadlinePassed):
    """Nobody is waiting for the answer any more."""

    code = "client_gone"
