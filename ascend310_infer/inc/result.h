// result.json, which says that a result folder is whole.
#ifndef OCRNET_INC_RESULT_H_
#define OCRNET_INC_RESULT_H_

#include <string>
#include <vector>

#include "inc/index.h"
#include "inc/manifest.h"
#include "inc/pipeline.h"

namespace ocrnet {

// How results are written.
enum class ResultKind { kLabels, kLogits, kMasks };

// Returns the file name of a sample's result.
std::string ResultFile(const std::string& name, ResultKind kind);

// Returns the content of result.json.
std::string ResultJson(const Manifest& manifest, const Dataset& dataset, const PipelineReport& report, ResultKind kind);

}  // namespace ocrnet

#endif  // OCRNET_INC_RESULT_H_
