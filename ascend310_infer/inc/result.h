// result.json, which says that a result folder is whole.
#ifndef OCRNET_INC_RESULT_H_
#define OCRNET_INC_RESULT_H_

#include <string>
#include <vector>

#include "inc/index.h"
#include "inc/manifest.h"
#include "inc/pipeline.h"
#include "inc/status.h"

namespace ocrnet {

// How results are written.
enum class ResultKind { kLabels, kLogits, kMasks };

// Returns the file name of a sample's result.
std::string ResultFile(const std::string& name, ResultKind kind);

// Makes the result folder and removes the result.json of an earlier run.
Status OpenResults(const std::string& folder);

// Returns the content of result.json.
std::string ResultJson(const Manifest& manifest, const Dataset& dataset, const PipelineReport& report, ResultKind kind);

// Writes result.json, as the last file of the folder.
Status CloseResults(const std::string& folder, const std::string& json);

}  // namespace ocrnet

#endif  // OCRNET_INC_RESULT_H_
