"""What MkDocs is told beside mkdocs.yml, so that docs/ reads well without it, too.

Pages are written for code-hosting pages: links to files of the repository outside
docs/, formulas in TeX between $` and `$ or in blocks called math. Here the links get
places in the site, the formulas become MathML, notebooks become pages, and the README's
words and table the start page's.
"""

import json
import os
import pathlib
import re
import tomllib

import latex2mathml.converter
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
START = "README.md"

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_BADGE = re.compile(r"!\[([^]]*)\]\(https://colab\.[^)]*\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_MATH_BLOCK = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MATH = re.compile(r"\$`([^`]+)`\$")
_REFERENCE = re.compile(r"^(::: semppl_keras\.(\w+)\.(\w+))$", re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)


def repository():
    """The address of the repository's files, from pyproject.toml, or None."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    urls = {name.lower(): url for name, url in project.get("urls", {}).items()}
    address = urls.get("repository") or urls.get("source")
    return f"{address.rstrip('/')}/blob/main" if address else None


def on_files(files, config):
    """Adds the files outside docs/ that pages link to, in a folder of their own."""
    sources = [README, *DOCS.rglob("*.md"), *NOTEBOOKS]
    needed = {path for source in sources for path in _outside(source)}
    needed.update([] if repository() else NOTEBOOKS)
    for path in sorted(needed):
        place = _copied(path).relative_to(DOCS).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    for notebook in NOTEBOOKS:
        place = _page_of(notebook).relative_to(DOCS).as_posix()
        files.append(File.generated(config, place, content=_as_page(notebook)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Takes out what is for tests alone, and puts in what MkDocs can go on with."""
    del config, files
    place = DOCS / page.file.src_uri
    source = {_page_of(path): path for path in NOTEBOOKS}.get(place, place)
    text = _with_places(markdown, source, place.parent)
    if page.file.src_uri == START:
        text = f"{_readme()}\n\n{_below_title(text)}"
    text = _REFERENCE.sub(_as_read, _COMMENT.sub("", text))
    return _formulas(_outside_fences(text, _pipes))


def _as_read(reference):
    """A name of the reference as who only reads the source finds it."""
    said, namespace, name = reference.groups()
    # There a module hides a function of its name.
    hidden = (ROOT / "semppl_keras" / namespace / f"{name}.py").exists()
    return f"{said}.{name}" if hidden else said


def _readme():
    """The README up to its table of contents, as a part of the start page."""
    text = README.read_text(encoding="utf-8").partition("\n## Documentation\n")[0]
    return _with_places(text, README, DOCS)


def _below_title(text):
    """A page without its title, for there is another one above it."""
    return text.partition("\n")[2].lstrip()


def _outside(source):
    """The files outside docs/ to which a page links, notebooks apart."""
    text = _FENCE.sub("", source.read_text(encoding="utf-8"))
    for picture, _, link, _ in _LINK.findall(text):
        path = _target(source, link)
        if path in NOTEBOOKS:
            continue
        if path is not None and path.is_file() and (picture or not repository()):
            yield path


def _page_of(notebook):
    """Where the page of a notebook would lie in docs/."""
    return DOCS / "tutorials" / notebook.with_suffix(".md").name


def _as_page(notebook):
    """A notebook as a page: its words, and its code in blocks."""
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        # The badge is a picture from elsewhere: its words will do.
        text = _BADGE.sub(r"\1", "".join(cell["source"]))
        code = cell["cell_type"] == "code"
        parts.append(f"```python\n{text}\n```" if code else text)
    origin = f"This page is a notebook: [{notebook.name}]({notebook.name})."
    return "\n\n".join([*parts, origin])


def _copied(path):
    """Where a file from outside docs/ is to be found in the site."""
    # A Markdown file would become a page, without a place in the navigation.
    name = f"{path.name}.txt" if path.suffix == ".md" else path.name
    return DOCS / "files" / path.relative_to(ROOT).with_name(name)


def _target(source, link):
    """Where a link leads, if that is neither on the web nor in docs/."""
    if re.match(r"[a-z]+:", link):
        return None
    path = (source.parent / link).resolve()
    return None if path.is_relative_to(DOCS) or path == README else path


def _with_places(text, source, folder):
    """A page with its links as they are in the site.

    Args:
        text: of the page.
        source: the page's file, from which its links lead.
        folder: that of the page in the site, below docs/.
    """

    def placed(match):
        picture, words, link, anchor = match.groups(default="")
        if re.match(r"[a-z]+:", link):
            return match[0]
        path = _target(source, link)
        if path is None:
            path = (source.parent / link).resolve()
            path = DOCS / START if path == README else path
        elif path in NOTEBOOKS and path != source:
            path = _page_of(path)
        elif path.is_dir() or (not picture and repository()):
            address = repository()
            place = f"{address}/{path.relative_to(ROOT).as_posix()}" if address else ""
            # A folder has no place in a site without a repository.
            return f"[{words}]({place}{anchor})" if place else words
        else:
            path = _copied(path)
        place = pathlib.Path(os.path.relpath(path, folder)).as_posix()
        return f"{picture}[{words}]({place}{anchor})"

    return _outside_fences(text, lambda part: _LINK.sub(placed, part))


def _pipes(text):
    """A text whose tables have | in their code, which other readers need as \\|."""
    return re.sub(
        r"^\|.*$",
        lambda row: re.sub(
            r"`[^`]+`", lambda code: code[0].replace("\\|", "|"), row[0]
        ),
        text,
        flags=re.MULTILINE,
    )


def _outside_fences(text, change):
    """A text that is changed but for its blocks of code."""
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def _formulas(text):
    """A text with its formulas in MathML, which browsers know without a script."""
    text = _MATH_BLOCK.sub(
        lambda match: f'<div class="formula">{_mathml(match[1], "block")}</div>', text
    )
    return _outside_fences(
        text, lambda part: _MATH.sub(lambda match: _inline(match[1]), part)
    )


def _inline(formula):
    # Where a line begins with it, Markdown would take <math> for a paragraph.
    return f"<span>{_mathml(formula, 'inline')}</span>"


def _mathml(formula, display):
    return latex2mathml.converter.convert(formula.strip(), display=display)
