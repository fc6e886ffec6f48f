#include "lab/import/llama_bench.h"

#include "base/error.h"
#include "base/text/text.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace shimmy::lab {

namespace {

constexpr int MAX_COUNT = 1 << 30;
constexpr size_t MAX_CHARS = 200;
constexpr double LEAST = -2.0;  // n_gpu_layers: all of them

[[noreturn]] void fail_in(const std::string & where, const std::string & reason) {
    fail_usage("{}: {}", where, reason);
}

// --- CSV: RFC 4180

class CsvReader {
public:
    CsvReader(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

    bool done() const { return at_ >= text_.size(); }
    std::string place() const { return fmt::format("{}:{}", file_, line_); }

    std::vector<std::string> record() {
        std::vector<std::string> fields{field()};
        while (!done() && text_[at_] == ',') {
            ++at_;
            fields.push_back(field());
        }
        if (!done() && text_[at_] == '\r') ++at_;
        if (!done() && text_[at_] != '\n') fail_in(place(), "a quoted field goes on behind its quotes");
        ++at_;
        ++line_;
        return fields;
    }

private:
    std::string field() {
        if (done() || text_[at_] != '"') {
            const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
            const std::string value(text_.substr(at_, end - at_));
            at_ = end;
            return value;
        }
        std::string value;
        for (++at_; !done(); ++at_) {
            if (text_[at_] == '\n') ++line_;
            const bool quote = text_[at_] == '"';
            if (quote && (at_ + 1 >= text_.size() || text_[at_ + 1] != '"')) {
                ++at_;
                return value;
            }
            value += text_[at_];
            if (quote) ++at_;
        }
        fail_in(place(), "a quoted field has no end");
    }

    std::string_view text_;
    std::string file_;
    size_t at_ = 0;
    size_t line_ = 1;
};

// --- one test, whatever it came from

// A field's value; null if there is none.
using Fields = std::function<Json(const char *)>;

std::string text_field(const Fields & fields, const char * name) {
    const Json value = fields(name);
    return value.is_string() ? printable(value.get<std::string>(), MAX_CHARS) : "";
}

std::optional<double> number_field(const Fields & fields, const char * name, const std::string & where) {
    const Json value = fields(name);
    if (value.is_null()) return std::nullopt;
    double number = NAN;
    if (value.is_number()) number = value;
    if (value.is_string()) {  // of CSV
        const std::string text = value;
        char * end = nullptr;
        number = std::strtod(text.c_str(), &end);
        if (text.empty() || *end != '\0') number = NAN;
    }
    if (!std::isfinite(number) || number < LEAST)
        fail_in(where, fmt::format("'{}' is {}, which is no number of llama-bench's", name, json_text(value, -1)));
    return number;
}

int count_field(const Fields & fields, const char * name, const std::string & where) {
    const double number = number_field(fields, name, where).value_or(0.0);
    if (number > MAX_COUNT) fail_in(where, fmt::format("'{}' is {}, which is no count", name, number));
    return static_cast<int>(number);
}

std::string base_name(const std::string & path) {
    return path.substr(path.find_last_of("/\\") + 1);
}

ImportedTest test_of(const Fields & fields, const std::string & where) {
    for (const char * name : {"model_filename", "n_prompt", "n_gen", "avg_ts"}) {
        if (fields(name).is_null())
            fail_in(where, fmt::format("lacks '{}': is it llama-bench's output (-o json, jsonl or csv)?", name));
    }
    ImportedTest test;
    test.model_file = base_name(text_field(fields, "model_filename"));
    test.model_type = text_field(fields, "model_type");
    test.model_bytes = static_cast<uint64_t>(std::max(number_field(fields, "model_size", where).value_or(0.0), 0.0));
    test.build = fmt::format("{} ({})", text_field(fields, "build_commit"), count_field(fields, "build_number", where));
    test.cpu = text_field(fields, "cpu_info");
    test.gpu = text_field(fields, "gpu_info");
    test.backends = text_field(fields, "backends");
    test.n_gpu_layers = count_field(fields, "n_gpu_layers", where);
    test.n_cpu_moe = count_field(fields, "n_cpu_moe", where);
    test.n_threads = count_field(fields, "n_threads", where);
    test.n_batch = count_field(fields, "n_batch", where);
    test.n_ubatch = count_field(fields, "n_ubatch", where);
    test.cache_type_k = text_field(fields, "type_k");
    test.cache_type_v = text_field(fields, "type_v");
    test.n_prompt = count_field(fields, "n_prompt", where);
    test.n_gen = count_field(fields, "n_gen", where);
    test.n_depth = count_field(fields, "n_depth", where);
    test.test_time = text_field(fields, "test_time");
    test.mean_tps = number_field(fields, "avg_ts", where).value_or(0.0);
    test.stddev_tps = number_field(fields, "stddev_ts", where).value_or(0.0);
    const Json samples = fields("samples_ts");
    for (const Json & sample : samples.is_array() ? samples : Json::array()) {
        if (!sample.is_number()) fail_in(where, "'samples_ts' holds something that is no number");
        test.tps.push_back(sample);
    }
    return test;
}

std::vector<ImportedTest> parse_csv(std::string_view text, const std::string & file) {
    CsvReader reader(text, file);
    const std::vector<std::string> names = reader.record();
    if (std::find(names.begin(), names.end(), "avg_ts") == names.end())
        fail_in(file + ":1", "names no 'avg_ts': is it llama-bench's output (-o json, jsonl or csv)?");
    std::vector<ImportedTest> tests;
    while (!reader.done()) {
        const std::string where = reader.place();
        const std::vector<std::string> values = reader.record();
        if (values.size() == 1 && values[0].empty()) continue;  // an empty line
        if (values.size() != names.size())
            fail_in(where, fmt::format("has {} fields, the first line names {}", values.size(), names.size()));
        const Fields fields = [&](const char * name) -> Json {
            const auto found = std::find(names.begin(), names.end(), name);
            return found == names.end() ? Json() : Json(values[static_cast<size_t>(found - names.begin())]);
        };
        tests.push_back(test_of(fields, where));
    }
    return tests;
}

std::vector<ImportedTest> parse_objects(const Json & list, const std::string & file) {
    std::vector<ImportedTest> tests;
    for (const Json & object : list) {
        const std::string where = fmt::format("{}: test {}", file, tests.size() + 1);
        if (!object.is_object()) fail_in(where, "is no object");
        tests.push_back(test_of([&](const char * name) { return object.value(name, Json()); }, where));
    }
    return tests;
}

// JSON lines.
Json list_of_lines(std::string_view text, const std::string & file) {
    Json list = Json::array();
    size_t line = 1;
    for (size_t begin = 0; begin < text.size(); ++line) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view one = text.substr(begin, end - begin);
        begin = end + 1;
        if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        Json object = parse_json(one);
        if (object.is_discarded()) fail_in(fmt::format("{}:{}", file, line), "is no JSON");
        list.push_back(std::move(object));
    }
    return list;
}

fs::path imported_dir(const fs::path & out_dir) {
    return out_dir / "imported";
}

Json test_json(const ImportedTest & test) {
    return {{"model_filename", test.model_file},
            {"model_type", test.model_type},
            {"model_size", test.model_bytes},
            {"build", test.build},
            {"cpu_info", test.cpu},
            {"gpu_info", test.gpu},
            {"backends", test.backends},
            {"n_gpu_layers", test.n_gpu_layers},
            {"n_cpu_moe", test.n_cpu_moe},
            {"n_threads", test.n_threads},
            {"n_batch", test.n_batch},
            {"n_ubatch", test.n_ubatch},
            {"type_k", test.cache_type_k},
            {"type_v", test.cache_type_v},
            {"n_prompt", test.n_prompt},
            {"n_gen", test.n_gen},
            {"n_depth", test.n_depth},
            {"test_time", test.test_time},
            {"avg_ts", test.mean_tps},
            {"stddev_ts", test.stddev_tps},
            {"samples_ts", test.tps}};
}

}  // namespace

std::string ImportedTest::name() const {
    std::string text = n_prompt > 0 ? fmt::format("pp{}", n_prompt) : "";
    if (n_gen > 0) text += fmt::format("{}tg{}", text.empty() ? "" : "+", n_gen);
    return n_depth > 0 ? fmt::format("{} @ d{}", text, n_depth) : text;
}

std::string ImportedTest::placement() const {
    const std::string layers =
        n_gpu_layers < 0 ? "all layers on the GPU" : fmt::format("{} layers on the GPU", n_gpu_layers);
    return n_cpu_moe > 0 ? fmt::format("n_cpu_moe={}, {}", n_cpu_moe, layers) : layers;
}

std::vector<ImportedTest> parse_llama_bench(std::string_view text, const std::string & file) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) fail_in(file, "is empty");
    std::vector<ImportedTest> tests;
    if (text[first] == '[') {
        const Json list = parse_json(text);
        if (!list.is_array()) fail_in(file, "is no whole JSON: was llama-bench ended early?");
        tests = parse_objects(list, file);
    } else if (text[first] == '{') {
        tests = parse_objects(list_of_lines(text, file), file);
    } else {
        tests = parse_csv(text, file);
    }
    if (tests.empty()) fail_in(file, "holds no test");
    return tests;
}

ImportedFile read_llama_bench(const fs::path & file) {
    const std::string text = read_file(file);
    return {file.filename().string(), sha256_hex(text), parse_llama_bench(text, file.string())};
}

fs::path store_imported(const ImportedFile & imported, const fs::path & out_dir) {
    const fs::path file = imported_dir(out_dir) / (imported.file + ".json");
    make_folders(file.parent_path());
    write_file_atomic(file, json_text(to_json(imported)) + "\n");
    return file;
}

std::vector<ImportedFile> read_imported(const fs::path & out_dir) {
    std::vector<fs::path> paths;
    if (!fs::is_directory(imported_dir(out_dir))) return {};
    for (const fs::directory_entry & entry : fs::directory_iterator(imported_dir(out_dir))) {
        if (entry.path().extension() == ".json") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    std::vector<ImportedFile> files;
    for (const fs::path & path : paths) {
        const Json document = read_json(path);
        const bool whole = document.is_object() && document.contains("tests") && document.at("tests").is_array();
        if (!whole) fail("{}: is damaged: import the file again (shimmy lab import)", path.string());
        ImportedFile & file = files.emplace_back();
        file.file = document.value("file", "");
        file.sha256 = document.value("sha256", "");
        file.tests = parse_objects(document.at("tests"), path.string());
        for (size_t i = 0; i < file.tests.size(); ++i)
            file.tests[i].build = document.at("tests")[i].value("build", "");
    }
    return files;
}

Json to_json(const ImportedFile & imported) {
    Json tests = Json::array();
    for (const ImportedTest & test : imported.tests)
        tests.push_back(test_json(test));
    return {{"imported_from", "llama-bench"}, {"file", imported.file}, {"sha256", imported.sha256}, {"tests", tests}};
}

}  // namespace shimmy::lab
