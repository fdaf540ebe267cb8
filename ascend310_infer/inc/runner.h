// The program: from options to result files, with any back end.
#ifndef OCRNET_INC_RUNNER_H_
#define OCRNET_INC_RUNNER_H_

#include <string>
#include <vector>

#include "inc/arguments.h"
#include "inc/engine.h"
#include "inc/status.h"

namespace ocrnet {

// Checks everything that can be checked before a model is loaded, loads it, runs all samples and writes the results.
Status Run(const Options& options, const Backend& backend);

// Does what the command line says; prints the log to stdout, one line to stderr on failure. Returns the exit status.
int Main(const std::vector<std::string>& arguments, const Backend& backend);

}  // namespace ocrnet

#endif  // OCRNET_INC_RUNNER_H_
