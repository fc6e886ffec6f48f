// Templates as a writer edits them: what they can say, and what is said of one that is broken.
#include "report/template/templates.h"

#include "base/error.h"
#include "report/values/wording.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::report {
namespace {

class TemplatesOf : public ::testing::Test {
protected:
    TemplatesOf() { write("card.md.jinja", "own"); }  // a name of an installed one, so that the folder counts

    void write(const std::string & name, const std::string & text) const { write_file_atomic(dir_ / name, text); }
    std::string rendered(const std::string & text) const {
        write("card.md.jinja", text);
        return Templates(dir_.path()).render("card.md.jinja", VALUES);
    }
    // Without the folder's name.
    std::string error(const std::string & text) const {
        try {
            return "no error: " + rendered(text);
        } catch (const Error & error) {
            const std::string said = error.what();
            const std::string folder = dir_.path().string() + "/";
            return said.starts_with(folder) ? said.substr(folder.size()) : "without the folder: " + said;
        }
    }

    const Json VALUES{{"name", "alpha"},
                      {"n", 3},
                      {"tables", {{"items", "| a |"}, {"none", ""}}},
                      {"nothing", nullptr},
                      {"list", {{{"id", "x"}}, {{"id", "y"}}}}};
    TempDir dir_;
};

TEST_F(TemplatesOf, ValuesConditionsAndLoops) {
    EXPECT_EQ(rendered("# {{ name }}, {{ n }}\n"), "# alpha, 3\n");
    EXPECT_EQ(rendered("{{ name }}"), "alpha") << "no line break of its own";
    EXPECT_EQ(rendered("{% if tables.none %}\nnever\n{% endif %}\n{% if nothing %}\nnever\n{% endif %}\nend\n"),
              "end\n");
    EXPECT_EQ(rendered("{% for entry in list %}\n- {{ loop.index }} {{ entry.id }}\n{% endfor %}\n"), "- 1 x\n- 2 y\n");
    EXPECT_EQ(rendered("{{ tables.items }}\n"), "| a |\n") << "a value may have the name of a method";
    EXPECT_EQ(rendered("{% macro twice(what) %}{{ what }}{{ what }}{% endmacro %}\n{{ twice(name | upper) }}\n"),
              "ALPHAALPHA\n");
    EXPECT_EQ(rendered("{% set k = list | length %}{{ k is defined }} {{ k }}\n"), "True 2\n");
}

TEST_F(TemplatesOf, AnIncludedTemplateSeesWhatCanBeNamedThere) {
    write("part.md.jinja", "{% if entry.id == \"y\" %}\n\n{{ name }} {{ entry.id }} {{ word }}\n\n{% endif %}\n");
    EXPECT_EQ(
        rendered("{% set word = \"so\" %}\n{% for entry in list %}\n{{ include(\"part.md.jinja\") }}.\n{% endfor %}\n"),
        ".\n\nalpha y so\n.\n");
}

TEST_F(TemplatesOf, ABrokenOneIsNamedWithItsLine) {
    EXPECT_EQ(error("a\n{{ nmae }}\n"), "card.md.jinja:2: there is no 'nmae' here");
    EXPECT_EQ(error("a\n\n{{ tables.itmes }}\n"), "card.md.jinja:3: there is no 'itmes' here, but items, none");
    EXPECT_EQ(error("a\n{% if name %}\nb\n{% fi %}\n"), "card.md.jinja:4: Unknown statement: fi");
    EXPECT_EQ(error("a\n{{ name | shout }}\nb\n"),
              "card.md.jinja:2: Unknown (built-in) filter 'shout' for type String");
    EXPECT_TRUE(error("{{ name }}\n{{ name + }}\nb\n").starts_with("card.md.jinja:2: Unexpected token: }}"));
    EXPECT_EQ(error("a\n{# no end\nb\nc\n"), "card.md.jinja:2: missing end of comment tag");
    EXPECT_EQ(error("a\nb\n{{ name ? }}\n"), "card.md.jinja:3: unexpected character: ?");
    EXPECT_EQ(error("{{ include(\"gone.md.jinja\") }}\n"),
              "without the folder: gone.md.jinja: there is no such template");
    EXPECT_TRUE(error("a\n{% if name %}\nb\n").starts_with("card.md.jinja:")) << error("a\n{% if name %}\nb\n");
    write("part.md.jinja", "fine\n{{ tables.itmes }}\n");
    EXPECT_EQ(error("a\n{{ include(\"part.md.jinja\") }}\n"),
              "part.md.jinja:2: there is no 'itmes' here, but items, none");
    EXPECT_EQ(error("{% for entry in list %}\n{{ entry.id }}{{ loop.last }}\n{% endfor %}\n{{ entry }}\n"),
              "no error: xFalse\nyTrue\n\n")
        << "only names that nothing defines are looked for";
}

TEST_F(TemplatesOf, SentencesOfFindings) {
    const auto said = [&](const std::string & text) {
        write("sentences.txt.jinja", text);
        return sentences(Templates(dir_.path()), {{"m", "software"}, {"m", "no_vram", {{"cell", "a\nb"}}}});
    };
    const std::string loop = "{% for fact in facts %}\n{% if fact.kind == \"no_vram\" %}\n";
    EXPECT_EQ(said(loop + "{{ fact.cell }}: none\n{% else %}\nsoft\n{% endif %}\n{% endfor %}\n"),
              (std::vector<std::string>{"soft", "a b: none"}))
        << "in the order in which they were found";
    try {
        said(loop + "{{ fact.cell }}\n{% endif %}\n{% endfor %}\n");
        ADD_FAILURE() << "a fact without a sentence";
    } catch (const Error & error) {
        EXPECT_EQ(error.what(), (dir_ / "sentences.txt.jinja").string() +
                                    ": it must have one line for each kind of fact: 'software' has 0");
    }
    EXPECT_TRUE(sentences(Templates(dir_.path()), {}).empty());
}

TEST_F(TemplatesOf, OnlyWhatIsThereIsReplaced) {
    const Templates own(dir_.path());
    EXPECT_EQ(own.find("card.md.jinja"), dir_ / "card.md.jinja");
    EXPECT_EQ(own.find("offload.md.jinja"), Templates().find("offload.md.jinja"));
    EXPECT_EQ(Templates(fs::path()).find("card.md.jinja"), Templates().find("card.md.jinja"));
    EXPECT_NE(Templates().find("card.md.jinja"), dir_ / "card.md.jinja");
    EXPECT_THROW(Templates().find("gone.md.jinja"), Error);
}

TEST_F(TemplatesOf, AFolderWithoutTemplatesIsAMistake) {
    EXPECT_THROW(Templates(dir_ / "gone"), UsageError);
    fs::rename(dir_ / "card.md.jinja", dir_ / "cards.md.jinja");
    try {
        const Templates own(dir_.path());
        ADD_FAILURE() << "nothing in it is a template's name";
    } catch (const UsageError & error) {
        EXPECT_NE(std::string(error.what()).find("copy one of card.md.jinja, "), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace shimmy::report
