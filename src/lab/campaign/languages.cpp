#include "lab/campaign/languages.h"

#include <algorithm>
#include <string_view>

namespace shimmy::lab {

namespace {

// ISO 639-1.
// clang-format off
constexpr std::string_view TWO_LETTERS =
    " "
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv "
    "dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie "
    "ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv "
    "mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm "
    "rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts "
    "tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu ";
// clang-format on

}  // namespace

bool is_language_code(const std::string & text) {
    if (text == "multilingual" || text == "code") return true;
    if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; })) return false;
    return text.size() == 3 || (text.size() == 2 && TWO_LETTERS.find(" " + text + " ") != std::string_view::npos);
}

std::vector<std::string> card_languages(const std::vector<std::string> & of_metadata) {
    std::vector<std::string> codes;
    for (const std::string & code : of_metadata) {
        if (is_language_code(code) && std::find(codes.begin(), codes.end(), code) == codes.end()) codes.push_back(code);
    }
    return codes.empty() ? std::vector<std::string>{"en"} : codes;
}

}  // namespace shimmy::lab
