// The program: from options to result files, with any back end.
#ifndef OCRNET_INC_RUNNER_H_
#define OCRNET_INC_RUNNER_H_

#include <string>
#include <vector>

#include "inc/arguments.h"
#include "inc/engine.h"
#include "inc/processor.h"
#include "inc/status.h"

namespace ocrnet {

// Checks everything that can be checked before a model is loaded, loads it by the back end that is asked for or fits
// it, runs all samples and writes the results. processor: this machine's.
Status Run(const Options& options, const Backends& backends, const Processor& processor);

// Does what the command line says; prints the log to stdout, one line to stderr on failure. Returns the exit status.
int Main(const std::vector<std::string>& arguments, const Backends& backends);

}  // namespace ocrnet

#endif  // OCRNET_INC_RUNNER_H_
