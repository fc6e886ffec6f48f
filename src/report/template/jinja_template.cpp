#include "report/template/jinja_template.h"

#include "base/error.h"

#include <jinja/parser.h>
#include <jinja/runtime.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

namespace shimmy::report {

namespace {

// The engine gives an undefined value for what an object lacks, and prints it as nothing.
class StrictObject : public jinja::value_object_t {
public:
    StrictObject() { has_builtins = false; }  // "items" and "values" are names like any other
    using jinja::value_object_t::at;
    jinja::value & at(const jinja::value & key, jinja::value & /*otherwise*/) override {
        if (has_key(key)) return at(key);
        std::string names;
        for (const auto & [name, value] : as_ordered_object())
            names += (names.empty() ? "" : ", ") + name->as_string().str();
        fail("there is no '{}' here, but {}", key->as_string().str(), names);
    }
};

jinja::value to_value(const Json & json) {
    switch (json.type()) {
        case Json::value_t::object: {
            const auto object = std::make_shared<StrictObject>();
            for (const auto & [key, value] : json.items())
                object->insert(jinja::mk_val<jinja::value_string>(key), to_value(value));
            return object;
        }
        case Json::value_t::array: {
            const auto array = jinja::mk_val<jinja::value_array>();
            for (const Json & value : json)
                array->push_back(to_value(value));
            return array;
        }
        case Json::value_t::string:
            return jinja::mk_val<jinja::value_string>(json.get<std::string>());
        case Json::value_t::boolean:
            return jinja::mk_val<jinja::value_bool>(json.get<bool>());
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned:
            return jinja::mk_val<jinja::value_int>(json.get<int64_t>());
        case Json::value_t::number_float:
            return jinja::mk_val<jinja::value_float>(json.get<double>());
        case Json::value_t::null:
        case Json::value_t::binary:
        case Json::value_t::discarded:
            break;
    }
    return jinja::mk_val<jinja::value_none>();
}

size_t line_at(std::string_view source, size_t position) {
    const std::string_view before = source.substr(0, position);
    return 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
}

// The engine's reason on one line, without its picture of the place.
std::string reason_of(const std::exception & error) {
    std::string reason = error.what();
    reason.resize(std::min(reason.find('\n'), reason.size()));
    for (const std::string_view prefix : {"lexer: ", "parser: ", "Parser Error: "}) {
        if (reason.starts_with(prefix)) reason.erase(0, prefix.size());
    }
    return reason;
}

// Few of the engine's errors tell their place. It is the end of the shortest beginning that gives the same error:
// `fails` says what the first n pieces give.
template <typename Fails>
size_t first_failing(size_t n_pieces, const std::string & reason, const Fails & fails) {
    for (size_t n = 1; n < n_pieces; ++n) {
        if (fails(n) == reason) return n;
    }
    return n_pieces;
}

template <typename Work>
std::string error_of(const Work & work) {
    try {
        work();
    } catch (const std::exception & error) {
        return error.what();
    }
    return "";
}

jinja::lexer_result tokens_of(const std::string & source, const std::string & file) {
    try {
        return jinja::lexer().tokenize(source);
    } catch (const std::exception & error) {
        // A comment that does not end is told where it begins.
        const auto beginning = [&](size_t n_lines) {
            size_t end = 0;
            for (size_t i = 0; i < n_lines && end != std::string::npos; ++i)
                end = source.find('\n', end + (i == 0 ? 0 : 1));
            return source.substr(0, end);
        };
        const std::string reason = reason_of(error);
        const size_t line = first_failing(line_at(source, source.size()), reason, [&](size_t n_lines) {
            try {
                jinja::lexer().tokenize(beginning(n_lines));
            } catch (const std::exception & earlier) {
                return reason_of(earlier);
            }
            return std::string();
        });
        fail("{}:{}: {}", file, line, reason);
    }
}

jinja::program parse(const jinja::lexer_result & lexed, const std::string & file) {
    try {
        return jinja::parse_from_tokens(lexed);
    } catch (const std::exception & error) {
        const size_t n_tokens = first_failing(lexed.tokens.size(), error.what(), [&](size_t n) {
            jinja::lexer_result beginning{{lexed.tokens.begin(), lexed.tokens.begin() + static_cast<ptrdiff_t>(n)},
                                          lexed.source};
            return error_of([&] { jinja::parse_from_tokens(beginning); });
        });
        const size_t position = n_tokens == 0 ? 0 : lexed.tokens[n_tokens - 1].pos;
        fail("{}:{}: {}", file, line_at(lexed.source, position), reason_of(error));
    }
}

// The names that a template uses and does not define itself. The engine takes one that nobody defines for empty.
class Names {
public:
    explicit Names(const jinja::program & program) {
        jinja::context context;
        context.visitor = [&](bool, const jinja::statement * node, const Children & children) {
            take(node, children, context);
        };
        for (const jinja::statement_ptr & statement : program.body)
            statement->visit(context);
    }

    // The first in the template of those that nothing defines.
    const jinja::identifier * unknown(jinja::context & context) const {
        const auto found = std::find_if(used_.begin(), used_.end(), [&](const jinja::identifier * name) {
            return !defined_.contains(name->val) && !jinja::global_builtins().contains(name->val) &&
                   context.get_val(name->val)->is_undefined();
        });
        return found == used_.end() ? nullptr : *found;
    }

private:
    using Children = std::vector<jinja::visitor_pair>;

    template <typename T>
    static bool is(const jinja::statement * node) {
        return dynamic_cast<const T *>(node) != nullptr;
    }

    void define(const jinja::statement * node) {
        if (const auto * name = dynamic_cast<const jinja::identifier *>(node)) defined_.insert(name->val);
        if (const auto * tuple = dynamic_cast<const jinja::tuple_literal *>(node)) {
            for (const jinja::statement_ptr & part : tuple->val)
                define(part.get());
        }
        if (const auto * argument = dynamic_cast<const jinja::keyword_argument_expression *>(node))
            define(argument->key.get());
    }

    void take(const jinja::statement * node, const Children & children, jinja::context & context) {
        if (const auto * name = dynamic_cast<const jinja::identifier *>(node)) used_.push_back(name);
        if (is<jinja::for_statement>(node)) defined_.insert("loop");
        const auto * member = dynamic_cast<const jinja::member_expression *>(node);
        const bool filters = is<jinja::filter_expression>(node) || is<jinja::filter_statement>(node);
        for (const auto & [label, statements] : children) {
            const bool defines = (is<jinja::for_statement>(node) && label == "loopvar") ||
                                 (is<jinja::set_statement>(node) && label == "assignee") ||
                                 (is<jinja::macro_statement>(node) && label != "body");
            const bool is_no_variable = (member != nullptr && !member->computed && label == "property") ||
                                        (filters && label == "filter") ||
                                        (is<jinja::test_expression>(node) && label == "test") ||
                                        (is<jinja::keyword_argument_expression>(node) && label == "key");
            for (const jinja::statement * statement : statements) {
                if (defines) define(statement);
                if (statement != nullptr && !defines && !is_no_variable) statement->visit(context);
            }
        }
    }

    std::vector<const jinja::identifier *> used_;
    std::set<std::string> defined_;
};

class Rendering {
public:
    explicit Rendering(const FindTemplate & find) : find_(find) {}

    std::string render(const std::string & name, jinja::context context) {
        const std::string file = find_(name).string();
        std::string source = read_file(file);
        if (source.ends_with('\n')) source += '\n';  // the engine takes one off
        const jinja::lexer_result lexed = tokens_of(source, file);
        const jinja::program program = parse(lexed, file);
        context.src = std::make_shared<std::string>(lexed.source);
        context.set_val("include", include());
        if (const jinja::identifier * unknown = Names(program).unknown(context))
            fail("{}:{}: there is no '{}' here", file, line_at(lexed.source, unknown->pos), unknown->val);
        try {
            const jinja::value_array parts = jinja::runtime(context).execute(program);
            return jinja::runtime::gather_string_parts(parts)->as_string().str();
        } catch (const std::exception & error) {
            if (failure_) throw *failure_;  // of an included template
            fail("{}:{}", file, place_and_reason(error.what()));
        }
    }

private:
    // "12: reason" of "While executing Filter at line 12, column 3 in source:", a picture of the place, and "Error:
    // reason".
    static std::string place_and_reason(const std::string & said) {
        const std::string before_line = " at line ";
        const std::string before_reason = "\nError: ";
        const size_t line = said.find(before_line);
        const size_t reason = said.find(before_reason);
        if (line == std::string::npos || reason == std::string::npos) return " " + said;
        const size_t digits = line + before_line.size();
        return said.substr(digits, said.find(',', digits) - digits) + ": " + said.substr(reason + before_reason.size());
    }

    // Renders with the names of the place where it is called.
    jinja::value include() {
        return jinja::mk_val<jinja::value_func>("include", [this](const jinja::func_args & args) -> jinja::value {
            try {
                std::string text = render(args.get_pos(0)->as_string().str(), jinja::context(args.ctx));
                if (text.ends_with('\n')) text.pop_back();  // the line that includes has its own
                return jinja::mk_val<jinja::value_string>(text);
            } catch (const Error & error) {
                if (!failure_) failure_ = error;
                throw;
            }
        });
    }

    const FindTemplate & find_;
    std::optional<Error> failure_;
};

}  // namespace

std::string render_jinja(const FindTemplate & find, const std::string & name, const Json & values) {
    jinja::context context;
    for (const auto & [key, value] : values.items())
        context.set_val(key, to_value(value));
    return Rendering(find).render(name, context);
}

}  // namespace shimmy::report
