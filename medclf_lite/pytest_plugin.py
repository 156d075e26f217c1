"""A fixture for the tests of any project that installs this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from medclf_lite.audit import Report


@pytest.fixture(scope="session")
def assert_audit_clean() -> Callable[..., Report]:
    """Hand over :func:`medclf_lite.audit.assert_clean`, imported when it is first asked for.

    Examples
    --------
    In a test file of your own project::

        def test_the_loaders_are_clean(assert_audit_clean):
            assert_audit_clean(train=make_train(), val=make_val(), patients=rule)
    """

    def run(*arguments: Any, **project: Any) -> Report:  # noqa: ANN401 - passed on
        from medclf_lite.audit import assert_clean

        return assert_clean(*arguments, **project)

    return run
