// Which back end runs a model, and what is refused before a library sees the model.
#ifndef OCRNET_INC_BACKEND_CHOICE_H_
#define OCRNET_INC_BACKEND_CHOICE_H_

#include <string>

#include "inc/arguments.h"
#include "inc/engine.h"
#include "inc/manifest.h"
#include "inc/processor.h"
#include "inc/status.h"

namespace ocrnet {

// Takes the back end and the precision of the options, or those that the model's manifest asks for, and settles what
// the engine needs to know of them. Refuses what does not fit together: the model's kind and the back end, its
// quantisation or the processor and the precision, the device, the mode; and a back end that this build lacks.
// backend: opened, and as long-lived as the backends.
Status ChooseBackend(const Options& options, const Manifest& manifest, const Backends& backends,
                     const Processor& processor, const Backend** backend, EngineOptions* engine);

// Says in some lines which back ends this build has, their libraries' versions, and in which precisions this machine's
// processor computes, and with what. Loads them.
// name: of the only back end to tell of, which must then be there and load; empty: tells of all, also what is wrong.
Status DescribeBackends(const Backends& backends, const std::string& name, const Processor& processor,
                        std::string* out);

// Returns "lite, openvino": what --backend may be with this build.
std::string NamesText(const Backends& backends);

// Refuses a library that is older than what the back end was written for.
// found, oldest: "2026.4.1"; the first two numbers count.
Status CheckLibraryVersion(const std::string& library, const std::string& found, const std::string& oldest);

// Returns "int8, with AVX-512 VNNI": the precision, and with OpenVINO on the CPU the instructions for it.
std::string PrecisionText(const EngineOptions& engine, const Processor& processor);

}  // namespace ocrnet

#endif  // OCRNET_INC_BACKEND_CHOICE_H_
