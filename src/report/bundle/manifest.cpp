#include "report/bundle/manifest.h"

#include "base/error.h"
#include "base/json.h"

#include <algorithm>

namespace shimmy::report {

namespace {

constexpr int BUNDLE_FORMAT = 1;

}  // namespace

std::vector<BundleFile> list_files(const fs::path & dir) {
    std::vector<BundleFile> files;
    for (const fs::directory_entry & entry : fs::recursive_directory_iterator(dir)) {
        const std::string name = entry.path().lexically_relative(dir).generic_string();
        if (entry.is_symlink()) fail("{}: is a link; a bundle holds files alone", entry.path().string());
        if (!entry.is_regular_file() && !entry.is_directory())  // reading a pipe would wait for ever
            fail("{}: is no file", entry.path().string());
        if (entry.is_directory() || name == MANIFEST) continue;
        files.push_back({name, entry.file_size(), sha256_file_hex(entry.path())});
    }
    std::sort(files.begin(), files.end(), [](const BundleFile & a, const BundleFile & b) { return a.file < b.file; });
    return files;
}

void write_manifest(const Manifest & manifest, const fs::path & dir) {
    Json files = Json::array();
    for (const BundleFile & file : manifest.files)
        files.push_back({{"file", file.file}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}});
    const Json document{{"bundle_format", BUNDLE_FORMAT},
                        {"campaign", manifest.campaign},
                        {"shimmy_version", manifest.shimmy_version},
                        {"llama_cpp_version", manifest.llama_cpp_version},
                        {"written_by", manifest.written_by},
                        {"files", files}};
    write_file_atomic(dir / MANIFEST, json_text(document) + "\n");
}

Manifest read_manifest(const fs::path & dir) {
    const fs::path file = dir / MANIFEST;
    if (!fs::exists(file)) fail("{}: is no bundle: it holds no {}", dir.string(), MANIFEST);
    const Json document = read_json(file);
    try {
        const int format = document.at("bundle_format");
        if (format != BUNDLE_FORMAT)
            fail("{}: has format {}, and this shimmy reads format {}: take the version that wrote it ({})",
                 file.string(), format, BUNDLE_FORMAT, document.value("shimmy_version", "unknown"));
        const std::string measured_by = document.at("shimmy_version");
        Manifest manifest{document.at("campaign"),
                          measured_by,
                          document.at("llama_cpp_version"),
                          document.value("written_by", measured_by),
                          {}};
        for (const Json & one : document.at("files"))
            manifest.files.push_back({one.at("file"), one.at("size_bytes"), one.at("sha256")});
        return manifest;
    } catch (const Json::exception & error) {
        fail("{}: is damaged ({})", file.string(), error.what());
    }
}

}  // namespace shimmy::report
