// SPDX-License-Identifier: Apache-2.0
//
// LogStore+Scratch.swift
// The store of a broker that is tested.

import LogStore
import Logging
import Model
import Telemetry
import TestSupport

extension LogStore {
    /// Opens a store that keeps nothing free and has little to fill with zeros while it idles.
    static func openScratch(
        at path: String, metrics: MetricRegistry, logger: Logger = .silent
    ) throws -> LogStore {
        var settings = StoreSettings(directory: path)
        settings.diskReserve = ByteCount(0)
        settings.journalFile = .mebibytes(2)
        return try LogStore.open(settings, metrics: metrics, logger: logger)
    }
}
