// One file of a repository into the cache.
#pragma once

#include "hub/api/repository.h"
#include "hub/download/cache.h"

#include <cstdint>
#include <string>

namespace shimmy::hub {

// Bytes that download() would fetch.
uint64_t missing_bytes_of(const RepositoryCache & cache, const RemoteFile & file);

// Downloads what is missing, checks the whole file's hash, and links it into the snapshot. A download that broke, or
// was killed, goes on where it was. Returns the bytes fetched. Throws Error if what came is not the file that the Hub
// named: it is not kept.
uint64_t download(const Api & api, const std::string & repo, const std::string & commit, const RemoteFile & file,
                  const RepositoryCache & cache, const ByteProgress & progress);

}  // namespace shimmy::hub
