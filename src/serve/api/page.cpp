#include "serve/api/page.h"

#include "base/embed.h"

// SHIMMY_CHAT_DIR and SHIMMY_MARKDOWN_IT_DIR come from src/CMakeLists.txt.
SHIMMY_EMBED(shimmy::serve::page, chat_html, SHIMMY_CHAT_DIR "/index.html")
SHIMMY_EMBED(shimmy::serve::page, chat_css, SHIMMY_CHAT_DIR "/page.css")
SHIMMY_EMBED(shimmy::serve::page, api_js, SHIMMY_CHAT_DIR "/api.js")
SHIMMY_EMBED(shimmy::serve::page, store_js, SHIMMY_CHAT_DIR "/store.js")
SHIMMY_EMBED(shimmy::serve::page, settings_js, SHIMMY_CHAT_DIR "/settings.js")
SHIMMY_EMBED(shimmy::serve::page, message_js, SHIMMY_CHAT_DIR "/message.js")
SHIMMY_EMBED(shimmy::serve::page, conversation_js, SHIMMY_CHAT_DIR "/conversation.js")
SHIMMY_EMBED(shimmy::serve::page, history_js, SHIMMY_CHAT_DIR "/history.js")
SHIMMY_EMBED(shimmy::serve::page, figures_js, SHIMMY_CHAT_DIR "/figures.js")
SHIMMY_EMBED(shimmy::serve::page, experts_js, SHIMMY_CHAT_DIR "/experts.js")
SHIMMY_EMBED(shimmy::serve::page, page_js, SHIMMY_CHAT_DIR "/page.js")
SHIMMY_EMBED(shimmy::serve::page, markdown_js, SHIMMY_MARKDOWN_IT_DIR "/markdown-it.umd.min.js")
SHIMMY_EMBED(shimmy::serve::page, markdown_license, SHIMMY_MARKDOWN_IT_DIR "/LICENSE")

namespace shimmy::serve {

namespace {

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    return text.replace(text.find(what), what.size(), with);
}

// One script: the files share a scope, each uses those before it, and the last one starts.
std::string script() {
    std::string all;
    for (const std::string_view file :
         {page::api_js(), page::store_js(), page::settings_js(), page::message_js(), page::conversation_js(),
          page::history_js(), page::figures_js(), page::experts_js(), page::page_js()})
        all += file;
    return all;
}

// Nothing but the page's own code and style runs, and nothing else than this server is asked.
constexpr const char * POLICY =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

void add_page(HttpFront & front) {
    const std::string library = fmt::format("/*!\n{}*/\n{}", page::markdown_license(), page::markdown_js());
    std::string html = replaced(std::string(page::chat_html()), "/*CSS*/", page::chat_css());
    html = replaced(replaced(html, "/*JS*/", script()), "/*MARKDOWN*/", library);
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
