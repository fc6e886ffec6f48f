#include "serve/api/page.h"

#include "base/digest.h"
#include "base/embed.h"
#include "base/text/base64.h"

#include <charconv>

// Made by cmake/serve_page.cmake. SHIMMY_SERVE_PAGE comes from src/CMakeLists.txt.
SHIMMY_EMBED(shimmy::serve::page, serve_html, SHIMMY_SERVE_PAGE)
SHIMMY_EMBED(shimmy::serve::page, serve_html_gz, SHIMMY_SERVE_PAGE ".gz")

namespace shimmy::serve {

namespace {

// As a Content-Security-Policy names a script: the hash's bytes in base64.
std::string hash_source(std::string_view script) {
    Digest digest(Digest::Kind::sha256);
    digest.update(script);
    const std::string hex = digest.hex();
    std::string bytes(hex.size() / 2, '\0');
    for (size_t i = 0; i < bytes.size(); ++i) {
        unsigned char byte = 0;
        std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, byte, 16);
        bytes[i] = static_cast<char>(byte);
    }
    return fmt::format("'sha256-{}'", base64(bytes));
}

// Of every <script> of the page.
std::string script_sources(std::string_view html) {
    constexpr std::string_view BEGIN = "<script>";
    constexpr std::string_view END = "</script>";
    std::string sources;
    for (size_t at = html.find(BEGIN); at != html.npos; at = html.find(BEGIN, at)) {
        at += BEGIN.size();
        const size_t end = html.find(END, at);
        sources += " " + hash_source(html.substr(at, end - at));
        at = end;
    }
    return sources;
}

// Nothing but the page's own scripts runs, nothing else than this server is asked, and nothing is fetched.
std::string policy() {
    return fmt::format(
        "default-src 'none'; script-src{}; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        script_sources(page::serve_html()));
}

}  // namespace

void add_page(HttpFront & front) {
    const Handler handler = [policy = policy()](const Request & request) {
        const std::string_view html = request.takes_gzip ? page::serve_html_gz() : page::serve_html();
        Answer answer = text_answer(std::string(html), "text/html; charset=utf-8");
        if (request.takes_gzip) answer.headers["Content-Encoding"] = "gzip";
        answer.headers["Vary"] = "Accept-Encoding";
        answer.headers["Content-Security-Policy"] = policy;
        answer.headers["X-Content-Type-Options"] = "nosniff";
        answer.headers["Cache-Control"] = "no-cache";
        return answer;
    };
    front.get("/", handler, Needs::nothing);
}

}  // namespace shimmy::serve
