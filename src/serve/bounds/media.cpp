#include "serve/bounds/media.h"

#include "base/text/base64.h"
#include "engine/vision/image_size.h"
#include "serve/bounds/member.h"

#include <string>
#include <string_view>

namespace shimmy::serve {

namespace {

constexpr int MAX_FILES = 32;  // of one request
constexpr std::string_view DATA = "data:";

class Media {
public:
    // `value`: messages, their content, or parts of it.
    void visit(const Json & value) {
        if (value.is_array()) {
            for (const Json & one : value)
                visit(one);
            return;
        }
        if (!value.is_object()) return;
        visit_part(value);
        for (const char * key : {"content", "output"}) {
            if (const Json * inner = find_member(value, key); inner != nullptr) visit(*inner);
        }
    }

private:
    void visit_part(const Json & part) {
        const Json * named = find_member(part, "type");
        const std::string type = named != nullptr && named->is_string() ? named->get<std::string>() : "";
        if (type == "image_url" || type == "input_image") {
            picture(link(part, "image_url"), "image_url");
        } else if (type == "image") {
            const Json * source = find_member(part, "source");
            const Json * how = source == nullptr ? nullptr : find_member(*source, "type");
            if (how == nullptr || *how != "base64") refuse("source", "must be of type base64: nothing is fetched here");
            picture(bytes(find_member(*source, "data"), "source"), "source");
        } else if (type == "input_audio") {
            const Json * audio = find_member(part, "input_audio");
            if (audio != nullptr && find_member(*audio, "url") != nullptr)
                refuse("input_audio", "must hold \"data\": nothing is fetched here");
            sound(bytes(audio == nullptr ? nullptr : find_member(*audio, "data"), "input_audio"));
        } else if (type == "input_video" || type == "video_url") {
            refuse("content", fmt::format("holds a part of type {}, which is not supported", type));
        }
    }

    // Behind "image_url", which is a text or holds one as "url".
    static std::string link(const Json & part, const char * member) {
        const Json * value = find_member(part, member);
        if (value != nullptr && value->is_object()) value = find_member(*value, "url");
        if (value == nullptr || !value->is_string()) refuse(member, "is missing");
        const std::string_view url = value->get_ref<const std::string &>();
        const size_t comma = url.find(',');
        if (!url.starts_with(DATA) || comma == url.npos || !url.substr(0, comma).ends_with(";base64"))
            refuse(member, "must be a data: URL in base64: nothing is fetched here");
        return decoded(url.substr(comma + 1), member);
    }

    static std::string bytes(const Json * value, const char * member) {
        if (value == nullptr || !value->is_string()) refuse(member, "must hold \"data\" in base64");
        return decoded(value->get_ref<const std::string &>(), member);
    }

    static std::string decoded(std::string_view text, const char * member) {
        const auto bytes = from_base64(text);
        if (!bytes || bytes->empty()) refuse(member, "holds no base64");
        return *bytes;
    }

    void count(const char * member) {
        if (++n_files_ > MAX_FILES) refuse(member, fmt::format("stands more than {} times in the request", MAX_FILES));
    }

    void picture(const std::string & bytes, const char * member) {
        count(member);
        const auto size = engine::image_size(bytes);
        if (!size) refuse(member, "holds no picture that can be read here: PNG, JPEG, GIF and BMP can");
        n_pixels_ += static_cast<uint64_t>(size->width) * static_cast<uint64_t>(size->height);
        if (n_pixels_ > engine::MAX_PIXELS)
            refuse(member, fmt::format("is too large: {} million pixels are taken in one request",
                                       engine::MAX_PIXELS / 1'000'000));
    }

    // As llama.cpp tells them from pictures: WAV, MP3 and FLAC.
    void sound(const std::string & bytes) {
        count("input_audio");
        const std::string_view head(bytes);
        const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
        const bool mp3 = head.starts_with("ID3") || (bytes.size() > 1 && byte(0) == 0xFF && (byte(1) & 0xE0) == 0xE0);
        const bool wav = head.starts_with("RIFF") && head.substr(0, 12).ends_with("WAVE");
        if (!wav && !mp3 && !head.starts_with("fLaC"))
            refuse("input_audio", "holds no sound that can be read here: WAV, MP3 and FLAC can");
    }

    int n_files_ = 0;
    uint64_t n_pixels_ = 0;
};

}  // namespace

void require_media(const Json & request) {
    Media media;
    for (const char * key : {"messages", "input"}) {
        if (const Json * value = find_member(request, key); value != nullptr) media.visit(*value);
    }
}

}  // namespace shimmy::serve
