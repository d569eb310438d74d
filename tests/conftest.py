"""What every test run says of itself."""

from tb.toolchain import SIMULATORS, ToolError, find


def pytest_report_header() -> list[str]:
    """Which simulators the tests will use; a missing one fails the tests that need it."""
    lines = []
    for name in SIMULATORS:
        try:
            lines.append(f"{name}: {find(name).version}")
        except ToolError as error:
            lines.append(f"{name}: {error}")
    return lines
