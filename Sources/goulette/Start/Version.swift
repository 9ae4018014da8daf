// SPDX-License-Identifier: Apache-2.0
//
// Version.swift
// What this build calls itself.

/// The version of this program.
enum Version {
    /// Semantic version; the file format has a version of its own.
    static let text = "0.1.0"
    /// The commit, when the build was told.
    static let revision = "unknown"
}
