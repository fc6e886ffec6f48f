#include "base/text/text_file.h"

#include "base/error.h"
#include "base/text/utf8.h"

namespace shimmy {

std::string read_text_file(const std::string & file) {
    const bool is_input = file == "-";
    std::string text = read_file(is_input ? "/dev/stdin" : file);
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        fail("{}: is UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)", is_input ? "standard input" : file);
    return text;
}

std::string read_measured_text(const std::string & file) {
    std::string text = read_text_file(file);
    const char * name = file == "-" ? "standard input" : file.c_str();
    if (text.empty()) fail("{}: holds no text", name);
    if (!is_utf8(text)) fail("{}: is no text in UTF-8: give one that people wrote", name);
    return text;
}

}  // namespace shimmy
