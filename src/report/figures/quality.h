// Quality figures of a campaign's models: the documents of `shimmy quality --json` under <out_dir>/quality.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <map>
#include <optional>
#include <string>

namespace shimmy::report {

class Quality {
public:
    // Reads quality/<model>.json of every model of the summary. A missing file is no error; one that is damaged, or of
    // other files than the campaign measured, throws Error that says how to make it again.
    Quality(const Json & summary, const fs::path & out_dir);

    // The whole document of a model; null if it is missing.
    const Json * document(const std::string & model) const;
    // A quantization's entry: ppl, ppl_error, mean_kld, …; null if it is missing.
    const Json * of(const std::string & model, const std::string & quantization) const;

    // Offload against the baseline of the same file: mean_kld, mean_kld_bound, within_bound, …; null if it was not
    // checked.
    const Json * offload_of(const std::string & model, const std::string & quantization) const;

    // The command that brings the figures of this model.
    std::string command(const std::string & model) const;

private:
    const Json & summary_;
    fs::path out_dir_;
    std::map<std::string, Json> documents_;
};

}  // namespace shimmy::report
