// A job's answer, whole or as events, in the shape of its API.
#pragma once

#include "serve/worker/attendance.h"
#include "serve/worker/channel.h"
#include "serve/worker/hosted_model.h"
#include "serve/worker/jobs.h"

namespace shimmy::serve::worker {

// Computes the job and answers on `channel`. Ends early, without a word, when its client goes away.
void answer(const HostedModel & model, Attendance::Ticket & ticket, server_response_reader & reader, Channel & channel,
            Job job);

}  // namespace shimmy::serve::worker
