// What a request may say before any model sees it: values within their ranges, and schemas, grammars and conversations
// that are some.
#pragma once

#include "base/json.h"

namespace shimmy::serve {

// Throws HttpError 400 that names the member.
void require_bounded(const Json & request);

// "messages" in OpenAI's form, and in Anthropic's.
void require_messages(const Json & request);
void require_anthropic_messages(const Json & request);

}  // namespace shimmy::serve
