"""The example application in Chromium: `browser_demonstration.py CHROMIUM PORT`.

Prints what the browser saw as JSON. `localhost` and `127.0.0.1` are the same server and two sites.
"""

import json
import sys

import browser

program, port = sys.argv[1:3]
HOME, OTHER_SITE = f"https://localhost:{port}", f"https://127.0.0.1:{port}"
RIGHT = {"username": "demo", "password": "demo"}

FETCH = """async ([url, init]) => {
    const answer = await fetch(url, init);
    return { status: answer.status, body: await answer.json(), cookies: document.cookie };
}"""


def shown(page, path, site=HOME):
    """A navigation, as by the address bar."""
    response = page.goto(site + path)
    return {
        "status": response.status,
        "cache_status": response.header_value("cache-status"),
        "protocol": page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"),
        "text": page.evaluate("document.body.innerText"),
    }


def sent(page, path, body=None):
    """A POST by a script of the page."""
    init = {"method": "POST"}
    if body is not None:
        init |= {"headers": {"content-type": "application/json"}, "body": json.dumps(body)}
    return page.evaluate(FETCH, [HOME + path, init])


def kept(context):
    """The cookies of the application in the jar."""
    return context.cookies(HOME)


def with_cookie(chromium, cookie):
    """What somebody gets who has the cookie of another."""
    context = browser.profile(chromium)
    context.add_cookies([cookie])
    answer = shown(context.new_page(), "/api/protected")
    context.close()
    return answer


def from_other_site(page):
    """What a script of another site gets, cookies asked for; it cannot read the answer, we can."""
    shown(page, "/api/users", OTHER_SITE)
    with page.expect_response(HOME + "/api/protected") as answer:
        page.evaluate(
            "url => fetch(url, { mode: 'no-cors', credentials: 'include' }).then(answer => answer.type)",
            HOME + "/api/protected",
        )
    return {"status": answer.value.status, "cookie": answer.value.request.header_value("cookie")}


def followed_from_other_site(page):
    """What a link of another site leads to."""
    shown(page, "/api/users", OTHER_SITE)
    with page.expect_navigation(url=HOME + "/api/protected") as answer:
        page.evaluate("url => { location.href = url; }", HOME + "/api/protected")
    return {"status": answer.value.status}


def steps(chromium):
    context = browser.profile(chromium)
    page = context.new_page()
    yield "users", shown(page, "/api/users")
    yield "users_again", shown(page, "/api/users")
    yield "refused", shown(page, "/api/protected")
    yield "wrong", sent(page, "/api/login", RIGHT | {"password": "x"})
    yield "cookies_before", kept(context)

    yield "login", sent(page, "/api/login", RIGHT)
    first = kept(context)
    yield "cookies", first
    yield "protected", shown(page, "/api/protected")
    yield "other_site", from_other_site(page)
    yield "link", followed_from_other_site(page)
    yield "stranger", shown(browser.profile(chromium).new_page(), "/api/protected")

    shown(page, "/api/users")
    yield "login_again", sent(page, "/api/login", RIGHT)
    second = kept(context)
    yield "cookies_again", second
    yield "old_id", with_cookie(chromium, first[0])
    yield "new_id", with_cookie(chromium, second[0])

    yield "logout", sent(page, "/api/logout")
    yield "cookies_after", kept(context)
    yield "ended", shown(page, "/api/protected")
    yield "ended_id", with_cookie(chromium, second[0])


with browser.started(program) as chromium:
    print(json.dumps(dict(steps(chromium))))
