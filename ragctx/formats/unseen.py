"""What of an HTML page nobody sees: it is how instructions for models are hidden.

Comments, elements that are hidden by an attribute, by their own style or by a style sheet in the
page, text in the colour of the paper, of no size, or beside the screen. Style sheets in other files
are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import tinycss2
from cssselect2 import ElementWrapper, Matcher, SelectorError, compile_selector_list
from lxml import etree

from ragctx.formats.blocks import SMALLEST_POINTS

FAR_PIXELS = -900
"""What is moved so far to the left or up is beside the screen. Chosen by hand: -9999 is usual."""

Style = Mapping[str, str]
_CODE = ("script", "style")
_TAGS = ("template", "noscript", "noframes", "dialog")
_TOLD = frozenset(
    "display visibility opacity font-size color background background-color left top text-indent "
    "clip clip-path width height overflow".split()
)
_LENGTH = re.compile(r"(-?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})) ?(px|pt|r?em|%|)")
_WHITE = ("white", "#fff", "#ffffff", "rgb(255,255,255)", "rgba(255,255,255,1)")
_CLEAR = re.compile(r"transparent|rgba\(.*,0?\.?0*%?\)|#[0-9a-f]{3}0|#[0-9a-f]{6}00")
_CLIPPED = re.compile(r"rect\(0(?:px)?[, ]*0|rect\(1px[, ]*1px|inset\((?:50|100)%")
_SCREEN = re.compile(r"(?:only )?(?:all|screen)?")


def take_unseen(root: etree._Element) -> dict[etree._Element, str]:
    """Empty the elements and comments that nobody sees; their texts, by element.

    Scripts and style sheets are no text, and are removed.
    """
    sheet = style_sheet(root)
    for element in list(root.iter(*_CODE)):
        _remove(element)
    found = []
    walk = etree.iterwalk(root, events=("start", "comment"))
    for event, element in walk:
        if event == "comment" or _is_unseen(element, sheet):
            found.append(element)
            if event == "start":
                walk.skip_subtree()
    taken = {element: " ".join(" ".join(_texts(element)).split()) for element in found}
    for element in found:
        element.text = ""
        if isinstance(element.tag, str):
            del element[:]
    return taken


def _texts(element: etree._Element) -> Iterator[str]:
    for inner in element.iter():
        yield inner.text or ""
        if inner is not element:
            yield inner.tail or ""


def _remove(element: etree._Element) -> None:
    """Remove an element, and leave the text behind it."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail or ""
    if parent is None:
        return
    if before is None:
        parent.text = (parent.text or "") + tail
    else:
        before.tail = (before.tail or "") + tail
    parent.remove(element)


def _is_unseen(element: etree._Element, sheet: Mapping[etree._Element, Style]) -> bool:
    if element.tag in _TAGS and not (element.tag == "dialog" and "open" in element.attrib):
        return True
    if "hidden" in element.attrib or element.get("aria-hidden", "").strip().lower() == "true":
        return True
    style = _style(element, sheet)
    return bool(style) and (_is_switched_off(style) or _is_away(style) or _is_paper(element, sheet))


# ---- style ------------------------------------------------------------------------------------


def style_sheet(root: etree._Element) -> dict[etree._Element, Style]:
    """What the style sheets in the page say of its elements, as far as it hides them."""
    matcher = Matcher()
    is_empty = True
    for element in root.iter("style"):
        for rule in _rules(tinycss2.parse_stylesheet(element.text or "", True, True)):
            told = _declarations(rule.content)
            if told:
                is_empty = not _add(matcher, rule.prelude, told) and is_empty
    if is_empty:
        return {}
    found: dict[etree._Element, Style] = {}
    for wrapper in ElementWrapper.from_html_root(root).iter_subtree():
        style: dict[str, str] = {}
        for _, _, pseudo, told in matcher.match(wrapper):
            style |= told if pseudo is None else {}
        if style:
            found[wrapper.etree_element] = style
    return found


def _rules(nodes: Iterable[tinycss2.ast.Node]) -> Iterator[tinycss2.ast.QualifiedRule]:
    """The rules for screens."""
    for node in nodes:
        if node.type == "qualified-rule":
            yield node
        elif node.type == "at-rule" and node.lower_at_keyword == "media" and node.content:
            if _SCREEN.fullmatch(tinycss2.serialize(node.prelude).strip().lower()):
                inner = tinycss2.parse_rule_list(node.content, True, True)
                yield from (rule for rule in inner if rule.type == "qualified-rule")


def _add(matcher: Matcher, prelude: list[tinycss2.ast.Node], told: Style) -> bool:
    """Whether the selector is one that can be matched."""
    try:
        selectors = compile_selector_list(prelude)
    except SelectorError:
        return False
    for selector in selectors:
        matcher.add_selector(selector, told)
    return bool(selectors)


def _style(element: etree._Element, sheet: Mapping[etree._Element, Style]) -> Style:
    own = element.get("style")
    return {**sheet.get(element, {}), **(_declarations(own) if own else {})}


def _declarations(source: str | list[tinycss2.ast.Node]) -> Style:
    """The declarations that may hide something, in lower case; important ones count last."""
    nodes = tinycss2.parse_blocks_contents(source, True, True)
    named = [node for node in nodes if node.type == "declaration" and node.lower_name in _TOLD]
    return {
        node.lower_name: tinycss2.serialize(node.value).strip().lower()
        for node in sorted(named, key=lambda node: node.important)
    }


def _is_switched_off(style: Style) -> bool:
    """Whether it is not drawn, or in no size, or cannot be told from nothing."""
    if style.get("display") == "none" or style.get("visibility") in ("hidden", "collapse"):
        return True
    size, opacity = _points(style.get("font-size")), _points(style.get("opacity"))
    if (size is not None and size < SMALLEST_POINTS) or opacity == 0:
        return True
    boxes = (_points(style.get("width")), _points(style.get("height")))
    return style.get("overflow") == "hidden" and 0 in boxes


def _is_away(style: Style) -> bool:
    """Whether it is beside the screen, or cut off."""
    far = (_points(style.get(name)) for name in ("left", "top", "text-indent"))
    if any(points is not None and points < FAR_PIXELS * 0.75 for points in far):
        return True
    clip = style.get("clip", "") + style.get("clip-path", "")
    return _CLIPPED.search(clip) is not None


def _is_paper(element: etree._Element, sheet: Mapping[etree._Element, Style]) -> bool:
    """Whether its text has the colour of what is behind it; paper is white unless it is said."""
    style = _style(element, sheet)
    colour = style.get("color", "").replace(" ", "")
    if not colour:
        return False
    behind = next((b for b in _backgrounds(element, sheet) if b), "white").replace(" ", "")
    if _CLEAR.fullmatch(colour) or colour == behind:
        return True
    return colour in _WHITE and behind in _WHITE


def _backgrounds(element: etree._Element, sheet: Mapping[etree._Element, Style]) -> Iterator[str]:
    """What is behind it, the nearest first."""
    for around in (element, *element.iterancestors()):
        style = _style(around, sheet)
        named = style.get("background-color") or style.get("background")
        yield named or around.get("bgcolor", "").lower()


def _points(value: str | None) -> float | None:
    """A length in points, with 12 points for an em; None for what is no length."""
    found = _LENGTH.fullmatch(value or "")
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    return number * {"px": 0.75, "pt": 1.0, "%": 0.12, "": 1.0}.get(unit, 12.0)
