// One request of a loaded model: what is asked, and the answer as it comes from the model's process.
#pragma once

#include "serve/http/request.h"
#include "serve/pool/model_pool.h"
#include "serve/wire/documents.h"
#include "serve/wire/frames.h"

#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace shimmy::serve {

class Conversation {
public:
    // `path`: as the client asked for it, for the log. Destroying it ends the model's work.
    Conversation(Lease lease, const std::string & path, const std::string & route,
                 const std::map<std::string, std::string> & params, const std::string & body, bool tell_timings,
                 StopCheck should_stop);
    // Logs the request, with -v.
    ~Conversation();
    Conversation(const Conversation &) = delete;
    Conversation & operator=(const Conversation &) = delete;

    struct Head {
        int status = 200;
        std::string content_type;
        bool streams = false;
    };
    // Waits for the first thing that the model says. Throws HttpError where it refuses, its process ends, or the server
    // does; ClientGone.
    const Head & head();
    // The next part of the answer; nullopt after the last. Throws as head() does.
    std::optional<std::string> next();
    // All parts.
    std::string rest();

    // Once the answer is whole.
    const wire::Figures & figures() const { return figures_; }
    const std::string & model_name() const { return lease_.name(); }
    const Loaded & loaded() const { return lease_->loaded(); }

private:
    wire::Frame read();

    Lease lease_;
    std::string path_;
    StopCheck should_stop_;
    Descriptor channel_;
    wire::FrameReader reader_;
    std::optional<Head> head_;
    wire::Figures figures_;
    bool ended_ = false;
};

}  // namespace shimmy::serve
