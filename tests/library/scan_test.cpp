#include "library/scan.h"

#include "base/error.h"
#include "library/resolve.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::library {
namespace {

class ScanOf : public ::testing::Test {
protected:
    // A file of its own content below the folder, with the folders it needs.
    fs::path add(const fs::path & relative) {
        const fs::path path = dir_ / relative;
        fs::create_directories(path.parent_path());
        write_file_atomic(path, path.string());
        return path;
    }
    void link(const fs::path & target, const fs::path & relative) {
        const fs::path path = dir_ / relative;
        fs::create_directories(path.parent_path());
        fs::create_symlink(target, path);
    }
    void add_manifest(const fs::path & relative, const std::string & content) {
        const fs::path path = dir_ / relative;
        fs::create_directories(path.parent_path());
        write_file_atomic(path, content);
    }
    static std::string manifest(const std::string & digest) {
        return R"({"schemaVersion": 2, "layers": [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:00"},
                   {"mediaType": "application/vnd.ollama.image.model", "digest": ")" +
               digest + R"(", "size": 3}]})";
    }
    Scan scan_all(const std::vector<fs::path> & folders = {"."}) const {
        std::vector<SearchDir> dirs;
        for (const fs::path & folder : folders)
            dirs.push_back({dir_ / folder, folder == "." ? "test" : folder.string(), true});
        return scan(dirs);
    }
    static std::vector<std::string> names(const Scan & found) {
        std::vector<std::string> result;
        for (const FoundModel & model : found.models)
            result.push_back(model.name);
        return result;
    }

    TempDir dir_;
};

using Names = std::vector<std::string>;

TEST_F(ScanOf, FindsGgufFilesFourLevelsDeep) {
    add("Top_Model Q4.gguf");
    add("a/b/c/deep.GGUF");
    add("a/b/c/d/too-deep.gguf");
    add("a/readme.txt");
    add(".hidden/secret.gguf");
    const Scan found = scan_all();
    EXPECT_EQ(names(found), (Names{"top-model-q4", "deep"}));
    EXPECT_TRUE(found.warnings.empty());
    EXPECT_EQ(found.models[0].source, "test");
}

TEST_F(ScanOf, HuggingFaceCache) {
    const std::string repo = "models--org--Phi-GGUF";
    add(repo + "/blobs/0123abcd");
    link("../../blobs/0123abcd", repo + "/snapshots/rev1/Phi-Q4_K_M.gguf");
    link("../../blobs/0123abcd", repo + "/snapshots/rev2/Phi-Q4_K_M.gguf");
    add(repo + "/snapshots/rev2/Q8_0/Phi-Q8_0-00001-of-00002.gguf");
    add(repo + "/snapshots/rev2/Q8_0/Phi-Q8_0-00002-of-00002.gguf");
    const Scan found = scan_all();
    EXPECT_EQ(names(found), (Names{"phi-q4-k-m", "phi-q8-0"}));
    EXPECT_EQ(found.models[0].path.filename(), "Phi-Q4_K_M.gguf") << "the link keeps the name, the blob has none";
    EXPECT_TRUE(found.warnings.empty());
}

TEST_F(ScanOf, OllamaStore) {
    const std::string hex(64, 'a');
    const std::string other(64, 'b');
    add("blobs/sha256-" + hex);
    add("blobs/sha256-" + other);
    add_manifest("manifests/registry.ollama.ai/library/phi3/mini", manifest("sha256:" + hex));
    add_manifest("manifests/registry.ollama.ai/someone/Tiny_MoE/latest", manifest("sha256:" + other));
    add_manifest("manifests/registry.ollama.ai/library/gone/latest", manifest("sha256:" + std::string(64, 'c')));
    add_manifest("manifests/registry.ollama.ai/library/evil/latest", manifest("sha256:../../etc/passwd"));
    add_manifest("manifests/registry.ollama.ai/library/torn/latest", "{\"layers\": [");
    const Scan found = scan_all();
    EXPECT_EQ(names(found), (Names{"phi3:mini", "someone/tiny-moe:latest"}));
    EXPECT_EQ(found.models[0].path, dir_ / ("blobs/sha256-" + hex));
    ASSERT_EQ(found.warnings.size(), 3U);
    EXPECT_NE(found.warnings[0].find("no sha256 digest"), std::string::npos);
    EXPECT_NE(found.warnings[1].find("is missing"), std::string::npos);
    EXPECT_NE(found.warnings[2].find("not an Ollama manifest"), std::string::npos);
}

TEST_F(ScanOf, EveryOllamaNameOfAFileIsAName) {
    const std::string hex(64, 'a');
    add("blobs/sha256-" + hex);
    add_manifest("manifests/registry.ollama.ai/library/mixtral/8x7b-instruct-v0.1-q4_K_M", manifest("sha256:" + hex));
    add_manifest("manifests/hf.co/someone/mixtral/q4_K_M", manifest("sha256:" + hex));
    const Scan found = scan_all();
    EXPECT_EQ(names(found), (Names{"hf.co/someone/mixtral:q4-k-m", "mixtral:8x7b-instruct-v0.1-q4-k-m"}));
    EXPECT_EQ(found.models[0].path, found.models[1].path);
    link(dir_ / ("blobs/sha256-" + hex), "models/linked.gguf");
    EXPECT_EQ(names(scan_all()).size(), 2U) << "a link to it is no third";
}

TEST_F(ScanOf, OllamaNamesLeaveOutWhatIsTheDefault) {
    const std::vector<std::pair<std::string, std::string>> expected{
        {"hf.co/org/repo/Q4_K_M", "hf.co/org/repo:q4-k-m"},
        {"registry.ollama.ai/library/phi3/mini", "phi3:mini"},
        {"registry.ollama.ai/someone/phi3/mini", "someone/phi3:mini"},
        {"registry.ollama.ai/library/deep/er/phi3", "registry.ollama.ai/library/deep/er:phi3"},
        {"other.host/library/phi3/mini", "other.host/library/phi3:mini"}};
    Names wanted;
    for (size_t i = 0; i < expected.size(); ++i) {
        const std::string hex(64, static_cast<char>('a' + i));
        add("blobs/sha256-" + hex);
        add_manifest("manifests/" + expected[i].first, manifest("sha256:" + hex));
        wanted.push_back(expected[i].second);
    }
    add_manifest("manifests/registry.ollama.ai/library/phi3/.DS_Store", "no manifest, and hidden");
    Scan found = scan_all();
    std::sort(wanted.begin(), wanted.end());
    Names got = names(found);
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, wanted);
    EXPECT_EQ(found.warnings, Names{});
}

TEST_F(ScanOf, OllamaManifestsOfOtherForms) {
    add("blobs/x");
    const std::string head = "manifests/registry.ollama.ai/library/";
    const std::string hex(64, 'a');
    add("blobs/sha256-" + hex);
    add_manifest(head + "a/no-layers", "{}");
    add_manifest(head + "b/layers-number", "{\"layers\": 5}");
    add_manifest(head + "c/list", "[]");
    add_manifest(head + "d/adapter-only", R"({"layers": [7, {"mediaType": "x"}]})");
    add_manifest(head + "e/no-digest", R"({"layers": [{"mediaType": "application/vnd.ollama.image.model"}]})");
    add_manifest(head + "f/short", manifest("sha256:" + hex.substr(1)));
    add_manifest(head + "g/not-hex", manifest("sha256:g" + hex.substr(1)));
    add_manifest(head + "h/md5", manifest("md5678:" + hex));
    add_manifest(head + "i/good", manifest("sha256:" + hex));
    const Scan found = scan_all();
    EXPECT_EQ(names(found), Names{"i:good"});
    ASSERT_EQ(found.warnings.size(), 8U);
    for (size_t i = 0; i < 8; ++i) {
        const char * reason = i < 3 ? "not an Ollama manifest" : i == 3 ? "holds no GGUF file" : "no sha256 digest";
        EXPECT_NE(found.warnings[i].find(reason), std::string::npos) << found.warnings[i];
    }
}

TEST_F(ScanOf, AnOllamaStoreIsOneAtItsRootOnly) {
    add("blobs/loose.gguf");
    add("manifests/loose2.gguf");
    add("sub/blobs/kept.gguf");
    add("other.gguf");
    EXPECT_EQ(names(scan_all()), (Names{"other", "kept"}));
    fs::remove_all(dir_ / "manifests");
    EXPECT_EQ(names(scan_all()), (Names{"other", "loose", "kept"})) << "no store without manifests";
}

TEST_F(ScanOf, OfTwoWaysToAFolderTheShorterCounts) {
    add("a/b/c/deep.gguf");
    add("z/x/y/w/far.gguf");
    link("x/y/w", "z/near");  // z/near/far.gguf is three deep, z/x/y/w/far.gguf five
    const Scan found = scan_all();
    EXPECT_EQ(names(found), (Names{"far", "deep"}));
    EXPECT_EQ(found.models[0].path, dir_ / "z/near/far.gguf");
}

TEST_F(ScanOf, InTheHuggingFaceCacheTheDepthCountsAnewInARepository) {
    add("a/models--org--repo/snapshots/rev/sub/model.gguf");
    add("a/models--org--repo/snapshots/rev/sub/more/too-deep.gguf");
    EXPECT_EQ(names(scan_all()), Names{"model"});
}

TEST_F(ScanOf, WarningsComeOnce) {
    link("nowhere.gguf", "a/dangling.gguf");
    const Scan found = scan_all({"a", "a", "a"});
    EXPECT_EQ(found.warnings.size(), 1U);
}

TEST_F(ScanOf, ASplitModelIsOneEntryAndAMissingPartAWarning) {
    add("big-00001-of-00002.gguf");
    add("big-00002-of-00002.gguf");
    add("torn-00002-of-00003.gguf");
    add("torn-00003-of-00003.gguf");
    const Scan found = scan_all();
    EXPECT_EQ(names(found), (Names{"big"}));
    EXPECT_EQ(found.models[0].path, dir_ / "big-00001-of-00002.gguf");
    ASSERT_EQ(found.warnings.size(), 1U);
    EXPECT_NE(found.warnings[0].find("torn-00001-of-00003.gguf"), std::string::npos);
}

TEST_F(ScanOf, LoopsAndLinksToFoundFiles) {
    const fs::path file = add("a/model.gguf");
    link("..", "a/up");
    link(dir_.path(), "a/root");
    link(file, "alias.gguf");
    link("nowhere.gguf", "dangling.gguf");
    const Scan found = scan_all();
    EXPECT_EQ(names(found), (Names{"alias"}));
    ASSERT_EQ(found.warnings.size(), 1U);
    EXPECT_NE(found.warnings[0].find("dangling.gguf: leads nowhere"), std::string::npos);
}

TEST_F(ScanOf, EqualNamesAreToldApart) {
    add("first/phi.gguf");
    add("second/Phi.gguf");
    add("second/sub/PHI.gguf");
    add("third/other.gguf");
    const Scan found = scan_all({"first", "second", "third", "second"});
    EXPECT_EQ(names(found), (Names{"phi", "phi@second", "phi@second-2", "other"}));
}

TEST_F(ScanOf, AFolderThatIsNotThereIsAWarningOnlyIfNamed) {
    const Scan found = scan({{dir_ / "no-such-folder", "x", true}, {dir_ / "neither", "y", false}});
    ASSERT_EQ(found.warnings.size(), 1U);
    EXPECT_NE(found.warnings[0].find("no-such-folder: no such folder"), std::string::npos);
}

TEST_F(ScanOf, SearchOrder) {
    Environment environment;
    environment.working_dir = "/srv";
    environment.home = "/home/me";
    environment.base_gguf = "/base/x.gguf";
    environment.model_paths = "/p;;/q";
    environment.ollama_models = "/ollama";
    environment.hf_hub_cache = "/hub";
    environment.hf_home = "/hf";
    std::vector<std::string> paths;
    for (const SearchDir & dir : search_dirs(environment, "/extra;/more"))
        paths.push_back(dir.path.string());
    EXPECT_EQ(paths,
              (Names{"/extra", "/more", "/srv/models", "/base", "/p", "/q", "/ollama", "/hub", "/hf/hub",
                     "/home/me/.cache/huggingface/hub", "/home/me/.ollama/models", "/usr/share/ollama/.ollama/models",
                     "/home/me/.lmstudio/models", "/home/me/.cache/lm-studio/models", "/home/me/.cache/llama.cpp",
                     "/home/me/models", "/home/me/.local/share/shimmy/models"}));
    EXPECT_EQ(search_dirs(Environment{}, "").size(), 1U) << "nothing is made up";
    std::vector<std::string> sources;
    std::string by_user;
    for (const SearchDir & dir : search_dirs(environment, "/extra;/more")) {
        sources.push_back(dir.source);
        by_user += dir.by_user ? '1' : '0';
    }
    EXPECT_EQ(sources, (Names{"model-dirs", "model-dirs", "models", "base-gguf", "model-paths", "model-paths", "ollama",
                              "huggingface", "huggingface", "huggingface", "ollama", "ollama", "lmstudio", "lmstudio",
                              "llama.cpp", "home", "shimmy"}));
    EXPECT_EQ(by_user, "11011111000000000") << "whose absence is worth a warning";
}

class Resolve : public ScanOf {
protected:
    Environment environment() const {
        Environment result;
        result.working_dir = dir_.path();
        return result;
    }
    std::string error_of(const std::string & name) const {
        try {
            resolve(name, "", environment());
        } catch (const Error & error) {
            return error.what();
        }
        ADD_FAILURE() << "found: " << name;
        return "";
    }
};

TEST_F(Resolve, APathWinsThenNames) {
    const fs::path phi = add("models/Phi_3.gguf");
    const fs::path elsewhere = add("elsewhere/tiny.gguf");
    EXPECT_EQ(resolve(elsewhere.string(), "", environment()), elsewhere);
    EXPECT_EQ(resolve("phi-3", "", environment()), phi);
    EXPECT_EQ(resolve("PHI_3", "", environment()), phi);
    EXPECT_EQ(resolve("tiny", (dir_ / "elsewhere").string(), environment()), elsewhere);
}

TEST_F(Resolve, AnOllamaModelThatIsNoGgufSaysSo) {
    add("models/blobs/sha256-1");
    for (const char * tag : {"latest", "120b"})
        add_manifest(fs::path("models/manifests/registry.ollama.ai/library/cloudy") / tag,
                     R"({"layers": [{"mediaType": "x"}]})");
    for (const char * name : {"cloudy", "cloudy:latest", "Cloudy:120B"}) {
        EXPECT_NE(error_of(name).find("holds no GGUF file"), std::string::npos) << error_of(name);
    }
    EXPECT_EQ(error_of("loudy").find("holds no GGUF file"), std::string::npos) << error_of("loudy");
}

TEST_F(Resolve, OllamaTagLatestMayBeLeftOut) {
    const std::string hex(64, 'a');
    const fs::path blob = add("models/blobs/sha256-" + hex);
    add_manifest("models/manifests/registry.ollama.ai/library/phi3/latest", manifest("sha256:" + hex));
    EXPECT_EQ(resolve("phi3", "", environment()), blob);
    EXPECT_EQ(resolve("phi3:latest", "", environment()), blob);
}

TEST_F(Resolve, NamesThatAreOnTheHubTooAreFoundHere) {
    const std::string hex(64, 'a');
    const fs::path blob = add("models/blobs/sha256-" + hex);
    add_manifest("models/manifests/hf.co/Some/Model-GGUF/Q4_K_M", manifest("sha256:" + hex));
    add_manifest("models/manifests/hf.co/Some/Other/latest", manifest("sha256:" + hex));
    EXPECT_EQ(find_named("hf.co/Some/Model-GGUF:Q4_K_M", "", environment()), blob);
    EXPECT_EQ(find_named("hf.co/Some/Other", "", environment()), blob);
    EXPECT_EQ(find_named("hf.co/Some/Model-GGUF:Q8_0", "", environment()), std::nullopt);
    EXPECT_EQ(find_named("hf.co/Some/Model-GGUF", "", environment()), std::nullopt);
}

TEST_F(Resolve, ErrorsHelp) {
    EXPECT_NE(error_of("phi").find("no models were found"), std::string::npos);
    EXPECT_EQ(error_of("/no/such.gguf"), "/no/such.gguf: no such file");
    EXPECT_EQ(error_of(dir_.path().string()), dir_.path().string() + ": is a folder, not a model");
    add("models/phi-3.5-moe-q4-k-m.gguf");
    add("models/tiny-moe.gguf");
    EXPECT_NE(error_of("tiny-meo").find("did you mean tiny-moe?"), std::string::npos);
    EXPECT_NE(error_of("phi").find("did you mean phi-3.5-moe-q4-k-m?"), std::string::npos);
    EXPECT_NE(error_of("qwertyuiop").find("`shimmy list`"), std::string::npos);
    add("models/tiny-mox.gguf");
    EXPECT_EQ(error_of("tiny-moy"),
              "'tiny-moy' is neither a file nor the name of a model; did you mean tiny-moe or tiny-mox?");
    add("models/tiny-moz.gguf");
    add("models/tiny-mo1.gguf");
    EXPECT_NE(error_of("tiny-moy").find("did you mean tiny-mo1 or tiny-moe or tiny-mox?"), std::string::npos)
        << "three";
    for (const char * path : {"no.gguf", "./no", "../no", "~/no", "/no"})
        EXPECT_EQ(error_of(path), std::string(path) + ": no such file");
}

TEST_F(Resolve, AFolderOfTheNameIsNoModel) {
    const fs::path phi = add("models/phi.gguf");
    const fs::path before = fs::current_path();
    fs::create_directory(dir_ / "phi");
    fs::current_path(dir_.path());
    const fs::path found = resolve("phi", "", environment());
    fs::current_path(before);
    EXPECT_EQ(found, phi);
}

TEST_F(Resolve, TheNameItselfBeforeItsLatest) {
    const std::string hex(64, 'a');
    add("models/blobs/sha256-" + hex);
    add_manifest("models/manifests/registry.ollama.ai/library/phi3/latest", manifest("sha256:" + hex));
    const fs::path exact = add("models/phi3.gguf");
    EXPECT_EQ(resolve("phi3", "", environment()), exact);
}

TEST(NearestNames, OrderAndLimit) {
    EXPECT_EQ(nearest_names("moe", {"tiny-moe", "mow", "dense", "big-moe", "toe"}, 3),
              (Names{"big-moe", "tiny-moe", "mow"}));
    EXPECT_TRUE(nearest_names("abc", {"xyz"}, 3).empty());
    EXPECT_EQ(nearest_names("abcd", {"abxy", "axyz"}, 3), Names{"abxy"}) << "half the letters, and one more";
    EXPECT_EQ(nearest_names("ab", {"cdefabgh"}, 3), Names{"cdefabgh"}) << "holds it";
    EXPECT_EQ(nearest_names("moe", {"toe", "mow", "moo"}, 2), (Names{"toe", "mow"})) << "equal ones keep their order";
    EXPECT_TRUE(nearest_names("moe", {"moe"}, 0).empty());
}

}  // namespace
}  // namespace shimmy::library
