// SPDX-License-Identifier: Apache-2.0
//
// SettingsSource.swift
// Where this process finds the settings of a broker, once or again.

import Foundation
import Settings
import Terminal

/// A file and what lies beside it, the environment, and the options of the command line.
struct SettingsSource: Sendable {
    var config: String?
    var options: [(key: String, value: String)] = []

    /// Puts together what they say now.
    func read() throws(SettingsError) -> ResolvedSettings {
        try SettingsLoader.load(
            path: config, environment: ProcessInfo.processInfo.environment, commandLine: options)
    }

    /// Puts together what they say now; what is wrong ends the command.
    func load() throws(Failure) -> ResolvedSettings {
        do throws(SettingsError) {
            return try read()
        } catch {
            throw Failure(
                "The configuration is wrong", place: "\(error)",
                advice: "Correct it; docs/reference/configuration.md lists every key.", exitCode: .badConfiguration)
        }
    }
}
