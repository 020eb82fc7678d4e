"""What ocjax endures: a program, run by hand.

    python tests/endurance kills --count=100
    python tests/endurance mutations --count=2000
    python tests/endurance folders
    python tests/endurance uploads --seconds=60
    python tests/endurance table

Each part prints what it counts, and puts rows into tests/endurance.json; the last
command renders them into tests/README.md.
"""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))


def main() -> None:
    """Does one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "part", choices=("kills", "mutations", "folders", "uploads", "table")
    )
    parser.add_argument("--count", type=int, default=100, help="of kills or inputs")
    parser.add_argument("--seconds", type=float, default=60, help="of broken uploads")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="cases whose name holds it")
    parser.add_argument("--folder", help="to work in; by default a temporary one")
    parser.add_argument("--results", help="by default tests/endurance.json")
    arguments = parser.parse_args()
    if arguments.part == "table":
        import table

        table.write()
        return
    import work

    if arguments.results:
        work.RESULTS = pathlib.Path(arguments.results).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(arguments.folder or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.part == "kills":
            import kills

            kills.main(arguments.count, arguments.seed, folder, arguments.only)
        elif arguments.part == "mutations":
            import mutations

            mutations.main(arguments.count, arguments.seed, folder, arguments.only)
        elif arguments.part == "folders":
            import folders

            folders.main(arguments.count, arguments.seed, folder, arguments.only)
        else:
            import uploads

            uploads.main(arguments.seconds, arguments.seed, folder)


if __name__ == "__main__":
    main()
