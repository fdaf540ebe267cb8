// The folder of the results: what may be replaced there, and when it is whole.
#ifndef OCRNET_INC_RESULT_FOLDER_H_
#define OCRNET_INC_RESULT_FOLDER_H_

#include <string>
#include <vector>

#include "inc/files.h"
#include "inc/stages.h"
#include "inc/status.h"

namespace ocrnet {

// Refuses a folder where results would replace what the run reads or somebody else's result.json. Changes nothing.
// dataset_path: as the user gave it; read: further files that are read, such as the manifest.
Status CheckResultFolder(const std::string& folder, const std::string& dataset_path,
                         const std::vector<std::string>& read, const Job& job);

// Makes the folder, marks it as unfinished, and removes the results that the result.json of an earlier run lists, and
// that itself. While the lock lives, no other run opens the folder.
Status OpenResults(const std::string& folder, FileLock* lock);

// Writes result.json, as the last file of the folder, and removes the mark.
Status CloseResults(const std::string& folder, const std::string& json);

}  // namespace ocrnet

#endif  // OCRNET_INC_RESULT_FOLDER_H_
