"""Every error syncd raises, grouped by what happens next.

    SyncdError
      ConfigError               all problems at once, no traceback; exit 2, nothing started
      UsageError                the command's own words are off; exit 2
      StoreError                the store cannot be used; exit 1
        StoreBusy               another syncd works on this tenant's store
        Fenced                  this process lost its right to write; it stops
      ProviderError             carries system, operation, record
        Transient               back off, try again later
          RateLimited           the same, not before `retry_after_seconds`
          OutOfReach            nothing was sent (refused, DNS, breaker open): safe to send again
          UnknownOutcome        the request may have taken effect: observe before deciding
        Rejected                park that write with the system's own words
          Duplicate             refused because `existing_id` is there already: a link proposal
          Gone                  the record does not exist (404, 410)
        Stale                   the record is not what the plan saw: drop, observe, decide again
        Unauthorised            refresh once, then pause the system with one alert
        Malformed               the answer is not what the provider documents: the walk fails

Base classes are never raised.
"""

from __future__ import annotations


class SyncdError(Exception):
    """Root of every error raised by syncd. `code` is stable; operators look it up in the README."""

    code = "syncd"
    next_step = "Read the message; run the command again once its cause is mended."


class ConfigError(SyncdError):
    """One or more problems in the configuration files, all of them at once."""

    code = "config"
    next_step = "Mend the named keys and run `syncd check`."

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(SyncdError):
    """The command names something that does not exist or cannot be done."""

    code = "usage"
    next_step = "See `syncd COMMAND --help`."


class StoreError(SyncdError):
    """The store cannot be opened or used."""

    code = "store"
    next_step = "Check the `database` key, the disk and the permissions; `syncd db current` tells the schema."


class StoreBusy(StoreError):
    """Another syncd process holds this tenant's store."""

    code = "store_busy"
    next_step = "Wait for the other syncd to end, or stop it."


class Fenced(StoreError):
    """A newer process took over the store; this one must not write any more."""

    code = "fenced"
    next_step = "Nothing to do: the newer process goes on."


class ProviderError(SyncdError):
    """Something a system said or did. Never carries a secret or a personal value of its own making.

    `words` is what the system itself said, cut to 500 characters; it is shown to operators and kept in
    the store, and never written to a log.
    """

    code = "provider"

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        external_id: str | None = None,
        status: int | None = None,
        words: str = "",
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.external_id = external_id
        self.status = status
        self.words = words[:500]


class Transient(ProviderError):
    """The same request may succeed later; nothing was committed, or the request only reads."""

    code = "unavailable"
    next_step = "Nothing to do: syncd tries again by itself."


class RateLimited(Transient):
    """The system asked for a pause of `retry_after_seconds`."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_seconds: float, **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.retry_after_seconds = retry_after_seconds


class OutOfReach(Transient):
    """No byte of the request was processed: refused connection, failed lookup, open breaker."""

    code = "out_of_reach"


class UnknownOutcome(Transient):
    """A write whose answer was lost: time-out, cut connection, 5xx, unreadable 2xx."""

    code = "unknown_outcome"
    next_step = "Nothing to do: syncd looks for the effect before it decides."


class Rejected(ProviderError):
    """The system understood the request and refused it; the same request will be refused again."""

    code = "rejected"
    next_step = "Read the system's words, mend the value there or here, then `syncd retry WRITE`."


class Duplicate(Rejected):
    """Refused because the system already holds such a client, `existing_id`."""

    code = "duplicate"
    next_step = "Accept or refuse the link proposal (`syncd holds`)."

    def __init__(self, message: str, *, existing_id: str, **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.existing_id = existing_id


class Gone(Rejected):
    """The record does not exist (any more). moved_to: the id to which the system sends instead, where it names one."""

    code = "gone"
    next_step = "Nothing to do: syncd confirms the absence before it believes it."

    def __init__(self, message: str, *, moved_to: str | None = None, **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.moved_to = moved_to


class Stale(ProviderError):
    """The record is not what the plan saw."""

    code = "stale"
    next_step = "Nothing to do: syncd decides again."


class Unauthorised(ProviderError):
    """The credentials were refused after one refresh."""

    code = "unauthorised"
    next_step = "Renew the credentials of this system, then `syncd check`."


class Malformed(ProviderError):
    """The answer does not have the shape the provider documents, or breaks a limit."""

    code = "malformed"
    next_step = "Look at the system: it answered something that is no listing of clients."
