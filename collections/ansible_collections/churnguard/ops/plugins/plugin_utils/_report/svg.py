# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes matplotlib's SVG fit into a page: small, themable, and beside others of its kind. Internal: may change in any
release."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
FAMILY = re.compile(r"(font-family:|font: (?:[\w.]+ )*?[\d.]+px) [^;]+")
NO_ROTATION = "rotate(-0 "
REFERENCE = re.compile(r"url\(#([^)]+)\)")


def adapt(source: str, prefix: str, title: str, description: str, colours: Mapping[str, str]) -> str:
    """C(source), an SVG document by matplotlib, as an element to put into HTML.

    Ids get C(prefix), so that several can live in one page; unused ids, metadata and the fixed size go. Each colour of
    C(colours) (hex to name) becomes the CSS variable --plot-NAME with the hex as its fallback, and text takes the font
    of --plot-font. C(title) and C(description) are for those who cannot see it.
    """
    root = ET.fromstring(source)
    for unwanted in root.findall(f"{{{SVG}}}metadata"):
        root.remove(unwanted)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    # A style element inside the page would reach all of the page.
    for parent in root.findall(f".//{{{SVG}}}style/.."):
        for sheet in parent.findall(f"{{{SVG}}}style"):
            parent.remove(sheet)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    used = {match for element in root.iter() for match in _references(element)}
    for element in root.iter():
        _adapt(element, prefix, used, colours)
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{SVG}}}{tag}", {"id": f"{prefix}-{tag}"})
        element.text = text
        root.insert(position, element)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    root.set("class", "plot")
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return re.sub(r"\n\s*", "\n", ET.tostring(root, encoding="unicode"))


def _references(element: ET.Element) -> list[str]:
    found = [match for value in element.attrib.values() for match in REFERENCE.findall(value)]
    link = element.get(f"{{{XLINK}}}href", "")
    return [*found, link[1:]] if link.startswith("#") else found


def _adapt(element: ET.Element, prefix: str, used: set[str], colours: Mapping[str, str]) -> None:
    for key, value in list(element.attrib.items()):
        if key == "id":
            if value in used:
                element.set(key, f"{prefix}-{value}")
            else:
                del element.attrib[key]
        elif key == f"{{{XLINK}}}href":
            element.set(key, value.replace("#", f"#{prefix}-"))
        elif key == "transform" and value.startswith(NO_ROTATION):
            del element.attrib[key]
        elif key == "style":
            element.set(key, REFERENCE.sub(rf"url(#{prefix}-\1)", _style(value, colours)))
        elif "url(#" in value:
            element.set(key, REFERENCE.sub(rf"url(#{prefix}-\1)", value))


def _style(style: str, colours: Mapping[str, str]) -> str:
    style = FAMILY.sub(r"\1 var(--plot-font, system-ui, sans-serif)", style)
    for colour, name in colours.items():
        style = style.replace(colour, f"var(--plot-{name}, {colour})")
    return style
