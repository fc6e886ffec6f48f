#include "serve/api/page.h"

#include "base/embed.h"

// SHIMMY_CHAT_DIR and SHIMMY_MARKDOWN_IT_DIR come from src/CMakeLists.txt.
SHIMMY_EMBED(shimmy::serve::page, chat_html, SHIMMY_CHAT_DIR "/index.html")
SHIMMY_EMBED(shimmy::serve::page, chat_css, SHIMMY_CHAT_DIR "/page.css")
SHIMMY_EMBED(shimmy::serve::page, chat_js, SHIMMY_CHAT_DIR "/page.js")
SHIMMY_EMBED(shimmy::serve::page, markdown_js, SHIMMY_MARKDOWN_IT_DIR "/markdown-it.umd.min.js")
SHIMMY_EMBED(shimmy::serve::page, markdown_license, SHIMMY_MARKDOWN_IT_DIR "/LICENSE")

namespace shimmy::serve {

namespace {

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    return text.replace(text.find(what), what.size(), with);
}

// Nothing but the page's own code and style runs, and nothing else than this server is asked.
constexpr const char * POLICY =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

void add_page(HttpFront & front) {
    const std::string library = fmt::format("/*!\n{}*/\n{}", page::markdown_license(), page::markdown_js());
    std::string html = replaced(std::string(page::chat_html()), "/*CSS*/", page::chat_css());
    html = replaced(replaced(html, "/*JS*/", page::chat_js()), "/*MARKDOWN*/", library);
    const Handler handler = [html](const Request &) {
        Answer answer = text_answer(html, "text/html; charset=utf-8");
        answer.headers["Content-Security-Policy"] = POLICY;
        answer.headers["X-Content-Type-Options"] = "nosniff";
        answer.headers["Cache-Control"] = "no-cache";
        return answer;
    };
    front.get("/", handler, Needs::nothing);
}

}  // namespace shimmy::serve
