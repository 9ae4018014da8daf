// SPDX-License-Identifier: Apache-2.0
//
// SettingsError.swift
// What is wrong with a configuration, all of it at once, each with its place.

/// Why settings could not be made.
public enum SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file cannot be read.
    case unreadable(path: String, reason: String)
    /// Everything that was found wrong.
    case problems([SettingsProblem])

    /// One line for each problem.
    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "cannot read the configuration \(path): \(reason)"
        case .problems(let problems): problems.map(\.description).joined(separator: "\n")
        }
    }
}

/// One thing that is wrong with a configuration.
public struct SettingsProblem: Equatable, Sendable, CustomStringConvertible {
    /// Where it stands.
    public let origin: SettingOrigin
    /// What is wrong and what to do.
    public let message: String

    /// The place and the message, as in `goulette.yaml:12: unknown key`.
    public var description: String { "\(origin): \(message)" }
}

/// Where a value comes from.
public enum SettingOrigin: Hashable, Sendable, CustomStringConvertible {
    /// Built in.
    case `default`
    /// A line of a file.
    case file(path: String, line: Int)
    /// An environment variable.
    case environment(name: String)
    /// An option of the command line.
    case commandLine(option: String)

    /// As operators read it.
    public var description: String {
        switch self {
        case .default: "default"
        case .file(let path, let line): "\(path):\(line)"
        case .environment(let name): "environment variable \(name)"
        case .commandLine(let option): "option \(option)"
        }
    }
}
