"""Messages of a call, for sessions."""

import warnings


def said(call, *given, **options):
    """Messages of the warnings of a call, or of its error."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            call(*given, **options)
        except (ValueError, TypeError, LookupError, AttributeError, OSError) as error:
            return f"{type(error).__name__}: {error}"
    return [str(one.message) for one in found]
