#include "hub/http/environment.h"

#include "base/files.h"
#include "base/text/text.h"

#include <pwd.h>
#include <unistd.h>
#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace shimmy::hub {

namespace {

constexpr const char * DEFAULT_ENDPOINT = "https://huggingface.co";

std::string variable(const char * name) {
    const char * value = std::getenv(name);
    std::string text = value == nullptr ? "" : value;
    const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
    text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), is_space));
    text.erase(std::find_if_not(text.rbegin(), text.rend(), is_space).base(), text.end());
    return text;
}

// Without HOME, as Python's "~": what the system's list of users says.
fs::path user_home() {
    if (const std::string home = variable("HOME"); !home.empty()) return home;
    const passwd * user = getpwuid(getuid());
    return user == nullptr ? "/" : user->pw_dir;
}

fs::path home() {
    const std::string hf_home = variable("HF_HOME");
    if (!hf_home.empty()) return hf_home;
    const std::string cache = variable("XDG_CACHE_HOME");
    return (cache.empty() ? user_home() / ".cache" : fs::path(cache)) / "huggingface";
}

std::string token_file_text() {
    const std::string named = variable("HF_TOKEN_PATH");
    const fs::path file = named.empty() ? home() / "token" : fs::path(named);
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) return "";
    std::string text = read_file(file);
    text.erase(std::remove_if(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c) != 0; }),
               text.end());
    return text;
}

bool is_true(const std::string & value) {
    const std::string text = upper(value);
    return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

}  // namespace

Environment read_environment() {
    Environment environment;
    environment.endpoint = variable("HF_ENDPOINT");
    if (environment.endpoint.empty()) environment.endpoint = DEFAULT_ENDPOINT;
    while (environment.endpoint.ends_with('/'))
        environment.endpoint.pop_back();
    environment.token = variable("HF_TOKEN");
    if (environment.token.empty()) environment.token = variable("HUGGING_FACE_HUB_TOKEN");  // its name of old
    if (environment.token.empty()) environment.token = token_file_text();
    environment.offline = is_true(variable("HF_HUB_OFFLINE"));
    const std::string cache = variable("HF_HUB_CACHE");
    environment.cache_dir = cache.empty() ? home() / "hub" : fs::path(cache);
    return environment;
}

}  // namespace shimmy::hub
