#include "library/ollama.h"

#include "base/error.h"
#include "base/json.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace shimmy::library {

namespace {

constexpr const char * MODEL_LAYER = "application/vnd.ollama.image.model";
constexpr const char * DEFAULT_REGISTRY = "registry.ollama.ai";
constexpr const char * DEFAULT_NAMESPACE = "library";

// manifests/<registry>/<namespace>/<model>/<tag>; Ollama leaves out what is the default.
std::string model_name(const fs::path & relative) {
    std::vector<std::string> parts;
    for (const fs::path & part : relative)
        parts.push_back(part.string());
    const std::string tag = parts.back();
    parts.pop_back();
    if (parts.size() == 3 && parts[0] == DEFAULT_REGISTRY) parts.erase(parts.begin());
    if (parts.size() == 2 && parts[0] == DEFAULT_NAMESPACE) parts.erase(parts.begin());
    return fmt::format("{}:{}", fmt::join(parts, "/"), tag);
}

bool is_sha256_digest(const std::string & digest) {
    constexpr size_t prefix_length = 7;  // "sha256:"
    const auto is_hex = [](unsigned char c) { return std::isxdigit(c) != 0; };
    return digest.size() == prefix_length + 64 && digest.starts_with("sha256:") &&
           std::all_of(digest.begin() + prefix_length, digest.end(), is_hex);
}

// Digest of the model layer; none if the manifest holds none (an adapter alone, say). Throws Error if it is damaged.
std::optional<std::string> model_digest(const fs::path & manifest) {
    const Json document = read_json(manifest);
    if (!document.is_object() || !document.contains("layers") || !document["layers"].is_array()) {
        fail("{}: not an Ollama manifest", manifest.string());
    }
    for (const Json & layer : document["layers"]) {
        if (!layer.is_object() || layer.value("mediaType", Json()) != MODEL_LAYER) continue;
        const Json digest = layer.value("digest", Json());
        if (!digest.is_string() || !is_sha256_digest(digest))
            fail("{}: the model layer has no sha256 digest", manifest.string());
        return digest.get<std::string>();
    }
    return std::nullopt;
}

std::vector<fs::path> manifest_files(const fs::path & dir, std::vector<std::string> & warnings) {
    std::vector<fs::path> files;
    std::error_code error;
    fs::recursive_directory_iterator it(dir, error);
    while (!error && it != fs::recursive_directory_iterator()) {
        std::error_code ignored;
        const bool hidden = it->path().filename().string().starts_with('.');
        if (!hidden && it->is_regular_file(ignored)) files.push_back(it->path());
        it.increment(error);
    }
    if (error) warnings.push_back(fmt::format("{}: {}", dir.string(), error.message()));
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

bool is_ollama_dir(const fs::path & dir) {
    std::error_code ignored;
    return fs::is_directory(dir / "manifests", ignored) && fs::is_directory(dir / "blobs", ignored);
}

std::vector<OllamaModel> ollama_models(const fs::path & dir, std::vector<std::string> & warnings) {
    std::vector<OllamaModel> models;
    const fs::path manifests = dir / "manifests";
    for (const fs::path & manifest : manifest_files(manifests, warnings)) {
        try {
            const auto digest = model_digest(manifest);
            if (!digest)
                fail("{}: holds no GGUF file: Ollama keeps this model in another format, or runs it in its cloud",
                     manifest.string());
            std::string file_name = *digest;
            file_name[file_name.find(':')] = '-';
            const fs::path blob = dir / "blobs" / file_name;
            std::error_code ignored;
            if (!fs::is_regular_file(blob, ignored)) fail("{}: its blob {} is missing", manifest.string(), file_name);
            models.push_back({model_name(manifest.lexically_relative(manifests)), blob});
        } catch (const std::exception & error) {
            warnings.emplace_back(error.what());
        }
    }
    return models;
}

}  // namespace shimmy::library
