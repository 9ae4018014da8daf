// SPDX-License-Identifier: Apache-2.0
//
// Failure.swift
// What a command prints when it did not work: what failed, where and why, what to try.

/// An error for the person at the terminal, in three lines.
public struct Failure: Error, Equatable, Sendable {
    /// What was attempted, as a clause: `cannot create topic orders`.
    public var what: String
    /// The broker, topic or partition and Kafka's error name: `broker 1: TOPIC_ALREADY_EXISTS`.
    public var place: String
    /// What to try next, as a sentence in the imperative.
    public var advice: String
    /// Underlying errors, outermost first; shown with `-v`.
    public var causes: [String]
    /// The status the process ends with.
    public var exitCode: ExitCode

    /// Describes a failure.
    public init(_ what: String, place: String, advice: String, causes: [String] = [], exitCode: ExitCode = .failed) {
        self.what = what
        self.place = place
        self.advice = advice
        self.causes = causes
        self.exitCode = exitCode
    }

    /// The lines for a terminal, each ended by a newline.
    public func text(palette: Palette, verbose: Bool = false) -> String {
        var lines = [
            "\(palette.paint("error:", as: .failed)) \(what)",
            "   at: \(place)",
            "  try: \(advice)",
        ]
        if verbose { lines += causes.map { "cause: \($0)" } }
        return lines.map { $0 + "\n" }.joined()
    }

    /// The same facts for a program, as one object.
    public var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("error", .string(what)), ("place", .string(place)), ("advice", .string(advice)),
            ("exitCode", .integer(Int64(exitCode.rawValue))),
        ]
        if !causes.isEmpty { members.append(("causes", .array(causes.map { .string($0) }))) }
        return .object(members)
    }
}
