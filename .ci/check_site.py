"""Looks through a site that was built: python .ci/check_site.py site

Every link within it leads to a page and a place that are there, and what a page loads
comes from the site itself. Links to other sites are not followed: nothing is fetched.
"""

import html.parser
import pathlib
import sys
import urllib.parse

# What a page loads by itself, whoever reads it: everything but what is clicked.
_LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
# Of these links nothing is loaded.
_SAID = {"canonical", "next", "prev", "alternate", "edit"}


class Page(html.parser.HTMLParser):
    """The links of a page, what it loads, and the places in it.

    Args:
        path: of the HTML file.
    """

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.places = set(), set(), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places.update(given[name] for name in ("id", "name") if given.get(name))
        address = given.get(_LOADED.get(tag, "href"))
        if address and given.get("rel") not in _SAID:
            (self.loaded if tag in _LOADED else self.links).add(address)


def problems(site):
    """What is wrong, a line each.

    Args:
        site: the folder, a `pathlib.Path`.
    """
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        # It is shown at any address, and links to the root of the site.
        if path.name == "404.html":
            continue
        where = path.relative_to(site.resolve())
        for address in sorted(page.links | page.loaded):
            parts = urllib.parse.urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loaded and parts.scheme != "data":
                    yield f"{where}: {address} is loaded from elsewhere"
                continue
            target = path
            if parts.path:
                target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            if not target.is_file():
                yield f"{where}: {address} leads nowhere"
            elif target in pages:
                place = urllib.parse.unquote(parts.fragment)
                if place not in pages[target].places:
                    yield f"{where}: {address} names a place that is not there"
    if not pages:
        yield f"{site}: no pages"


def main():
    found = list(problems(pathlib.Path(sys.argv[1])))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
