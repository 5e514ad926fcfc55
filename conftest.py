"""What pytest needs to know beside the tests."""

OUTPUT_SECONDS = (
    60  # how long nbval waits for a cell's outputs once it has run; its own 5 s are short on a busy machine
)


def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = OUTPUT_SECONDS
