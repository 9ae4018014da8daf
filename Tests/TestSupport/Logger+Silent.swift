// SPDX-License-Identifier: Apache-2.0
//
// Logger+Silent.swift
// For what is tested without looking at its log.

package import Logging

extension Logger {
    /// A logger that writes nothing.
    package static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}
