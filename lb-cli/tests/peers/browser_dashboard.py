"""The dashboard in Chromium: `browser_dashboard.py CHROMIUM ADMIN TOKEN PICTURES BACKEND...`.

Steers a real server under load, then the same page over a scripted API. Prints what the browser saw as JSON, and leaves
pictures in the directory PICTURES. BACKEND: the ports where the backends `a` and `b` tell how many requests they had.
"""

import json
import sys

import browser
import httpx
from scripted_admin import MARKUP, TOKEN, Scripted

program, admin, token, pictures, *ports = sys.argv[1:]
WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
counter = httpx.Client(http1=False, http2=True, timeout=30)


def requests(port):
    """How many requests a backend had, by its own count."""
    return int(counter.get(f"http://127.0.0.1:{port}/_count").text)


def until_grown(port, by):
    """Waits until a backend had so many more."""
    target = requests(port) + by
    while requests(port) < target:
        pass


class Page:
    """A window on the dashboard, and what it complained about."""

    def __init__(self, chromium, url, **options):
        self.url, self.complaints, self.elsewhere = url, [], []
        self.context = browser.profile(chromium, **options)
        self.page = self.context.new_page()
        self.page.on("console", lambda told: told.type in ("error", "warning") and self.complaints.append(told.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.context.on("request", lambda sent: sent.url.startswith((url, "data:")) or self.elsewhere.append(sent.url))
        self.document = self.page.goto(url + "/")

    def until(self, function, argument=None):
        """Functions only: the policy of the page refuses to evaluate a text."""
        self.page.wait_for_function(function, arg=argument)

    def until_live(self):
        self.page.wait_for_selector('#link[data-link="live"]')
        self.page.wait_for_selector("#tiles dt")

    def row(self, name):
        return self.page.locator("#backends tr:not(.pool)").filter(has=self.page.get_by_text(name, exact=True)).first

    def state(self, name):
        return self.row(name).locator(".word").inner_text()

    def until_state(self, name, *words):
        self.until(
            """([name, words]) => [...document.querySelectorAll("#backends tbody tr")].some(row =>
                row.querySelector(".name").textContent === name && words.includes(row.querySelector(".word")?.textContent))""",
            [name, words],
        )

    def button(self, name, order):
        return self.row(name).get_by_role("button", name=order, exact=True)

    def tab_to(self, name, order):
        """By keyboard alone; tells how many keys it took, and whether the focus can be seen."""
        wanted = self.button(name, order)
        for keys in range(1, 200):
            self.page.keyboard.press("Tab")
            if wanted.evaluate("button => button === document.activeElement"):
                return {"keys": keys, "outline": wanted.evaluate("button => getComputedStyle(button).outlineStyle")}
        raise AssertionError(f"no {order} of {name} within 200 tabs")

    def is_too_wide(self):
        return self.page.evaluate("document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth")

    def picture(self, name, full=True):
        self.page.screenshot(path=f"{pictures}/{name}.png", full_page=full)

    def close(self):
        told = {"complaints": self.complaints, "elsewhere": self.elsewhere}
        self.context.close()
        return told


# Whether the first figure, requests a second, is that of the load.
MANY = "() => Number(document.querySelector('#tiles dd').textContent.replace(',', '')) > 20"


def under_load(chromium):
    """A real server, whose backends count for themselves."""
    window = Page(chromium, admin, viewport=WIDE, color_scheme="dark")
    yield "policy", window.document.header_value("content-security-policy")
    window.page.wait_for_selector("#ask[open]")
    window.page.keyboard.type("wrong")
    window.page.keyboard.press("Enter")
    window.page.get_by_text("The server refused the token").wait_for()
    window.page.keyboard.type(token)
    window.page.keyboard.press("Enter")
    window.until_live()
    # The two refusals were asked for; whatever follows was not.
    yield "refusals", len(window.complaints)
    window.complaints.clear()

    window.until(MANY)
    first = window.row("a").locator(".rate small").inner_text()
    window.until("""first => document.querySelector("#backends .rate small").textContent !== first""", first)
    yield "states", {name: window.state(name) for name in "abc"}
    yield "why_c", window.row("c").locator(".check").inner_text()

    yield "by_keyboard", window.tab_to("a", "Drain")
    window.page.keyboard.press("Enter")
    window.until_state("a", "draining")
    # What was picked before may still arrive; after that nothing does.
    until_grown(ports[1], 30)
    before = [requests(port) for port in ports]
    until_grown(ports[1], 100)
    yield "drained", [requests(port) - known for port, known in zip(ports, before)]
    yield "kept_focus", window.button("a", "Drain").evaluate("button => button === document.activeElement")

    window.button("b", "Maintain").click()
    yield "warning", window.page.locator("#ask-text").inner_text()
    window.page.keyboard.press("Escape")
    window.page.wait_for_selector("#ask", state="hidden")
    yield "not_maintained", window.state("b")

    window.button("a", "Ready").click()
    window.until_state("a", "ready", "slow start")
    until_grown(ports[0], 20)

    window.row("a").locator(".weight button").click()
    window.page.keyboard.type("3")
    window.page.keyboard.press("Enter")
    window.page.get_by_role("button", name="Weight of a is 3: change").wait_for()
    window.page.get_by_text("weight: 3, configured is 1").wait_for()
    yield "changes", window.page.locator("#changes li").count()
    yield "routes", window.page.locator("#route-list li").all_inner_texts()

    window.page.locator("#explain-url").fill("https://localhost/anything")
    window.page.keyboard.press("Enter")
    yield "explained", window.page.locator("#explained .told").inner_text()
    yield "reasons", window.page.locator("#explained dd").all_inner_texts()

    newest = window.page.locator("#charts canvas").first
    newest.hover(position={"x": newest.bounding_box()["width"] - 6, "y": 60})
    window.page.wait_for_selector("#charts .tip:not([hidden])")
    yield "tip", window.page.locator("#charts .tip").first.inner_text()
    window.until(DRAWN)
    window.picture("dashboard-dark")
    window.page.emulate_media(color_scheme="light")
    window.page.mouse.move(0, 0)
    window.picture("dashboard-light")
    window.page.set_viewport_size(PHONE)
    yield "too_wide", window.is_too_wide()
    window.picture("dashboard-phone")
    yield "window", window.close()


# Whether each of the three charts has more than its axes, which are grey.
DRAWN = """() => [...document.querySelectorAll("#charts canvas")].filter(canvas => {
    // Of a copy: reading the canvas itself makes the browser complain that it is slow.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const data = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    let coloured = 0;
    for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 200 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60) coloured++;
    return coloured > 20;
}).length === 3"""


def scripted(chromium):
    """The same document over an API that plays bad times."""
    original = httpx.get(admin + "/")
    kept = ("content-type", "content-security-policy", "referrer-policy", "x-frame-options")
    script = Scripted(original.content, [(name, original.headers[name]) for name in kept], every=0.5)
    for theme in ("dark", "light"):
        script.past = [*range(110, 70, -1), *range(52, 0, -1)]
        window = Page(chromium, script.url, viewport=WIDE, color_scheme=theme)
        window.until_live()
        window.until("() => document.querySelector('#charts .legend b').textContent !== '–'")
        window.page.locator("#explain-url").fill("/api/users")
        window.page.keyboard.press("Enter")
        window.page.wait_for_selector("#explained .lines")
        window.page.locator("#charts canvas").nth(1).hover(position={"x": 330, "y": 90})
        window.page.wait_for_selector("#charts .tip:not([hidden])")
        window.picture(f"dashboard-states-{theme}")
        yield f"window_{theme}", window.close()

    window = Page(chromium, script.url, viewport=PHONE, color_scheme="dark", device_scale_factor=2, has_touch=True, reduced_motion="reduce")
    window.until_live()
    window.until(DRAWN)
    yield "words", window.page.locator("#backends .word").all_inner_texts()
    yield "markup", {
        "elements": window.page.locator("img, main script, header script").count(),
        "title_run": window.page.title() == "run",
        "shown": MARKUP in window.page.locator("#pools").inner_text() and MARKUP in window.page.locator("#changes").inner_text(),
    }
    yield "too_wide", window.is_too_wide()
    window.picture("dashboard-states-phone")

    window.page.get_by_role("searchbox").fill("draining")
    yield "found", window.page.locator("#backends .backend .name:visible").all_inner_texts()
    window.page.get_by_role("searchbox").fill("")

    window.button("api-1", "Maintain").tap()
    window.page.wait_for_selector("#ask[open]")
    window.picture("dashboard-question-phone", full=False)
    window.page.get_by_role("button", name="Cancel").tap()
    window.page.wait_for_selector("#ask", state="hidden")

    script.refuses = True
    window.button("api-1", "Drain").click()
    yield "refused", window.page.get_by_role("alert").inner_text()
    script.refuses = False
    window.page.get_by_role("button", name="Try again").click()
    window.until_state("api-1", "draining")
    window.page.get_by_role("alert").wait_for(state="detached")
    window.button(MARKUP, "Drain").click()
    window.until_state(MARKUP, "draining")
    yield "asked", script.asked

    script.is_down = True
    window.until("() => document.querySelector('#link').innerText.startsWith('connection lost, figures of ')")
    yield "old", window.page.evaluate("document.body.classList.contains('old')")
    window.page.get_by_role("button", name="Retry now").click()
    # It comes back by itself, and has a token now.
    script.token, script.is_down = TOKEN, False
    window.page.get_by_role("textbox", name="Token").fill(TOKEN)
    window.page.get_by_role("button", name="Connect").click()
    window.until_live()
    yield "token_kept", window.page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")
    # Failed connections and the refusals complain; nothing else does.
    expected = ("net::ERR", "401", "409")
    window.complaints = [told for told in window.complaints if not any(word in told for word in expected)]
    yield "window", window.close()


with browser.started(program) as chromium:
    print(json.dumps({"real": dict(under_load(chromium)), "scripted": dict(scripted(chromium))}))
