// SPDX-License-Identifier: Apache-2.0
//
// Palette.swift
// Colour means state and nothing else; it is off unless a person is looking.

/// What a coloured word says about the thing it names.
public enum StateColour: String, Sendable {
    case healthy = "32"
    case degraded = "33"
    case failed = "31"
    case dim = "2"
}

/// Paints text when colour is allowed, and leaves it alone when it is not.
public struct Palette: Sendable {
    /// Whether anything is painted.
    public let isEnabled: Bool

    /// Creates a palette that paints, or does not.
    public init(isEnabled: Bool) { self.isEnabled = isEnabled }

    /// The palette for a stream: colour needs a terminal, no `--no-color`, an empty or absent `NO_COLOR`, and a
    /// `TERM` other than `dumb`.
    public init(isTerminal: Bool, noColourFlag: Bool, environment: [String: String]) {
        let refused = !(environment["NO_COLOR"] ?? "").isEmpty || environment["TERM"] == "dumb"
        self.init(isEnabled: isTerminal && !noColourFlag && !refused)
    }

    /// `text` in a colour that tells the thing with this number from others; it means nothing else.
    public func paint(_ text: String, number: Int) -> String {
        let codes = [36, 35, 34, 33, 32, 96, 95, 94, 93]
        guard isEnabled else { return text }
        return "\u{1B}[\(codes[Int(number.magnitude) % codes.count])m\(text)\u{1B}[0m"
    }

    /// `text` in the colour of `state`.
    public func paint(_ text: String, as state: StateColour) -> String {
        isEnabled ? "\u{1B}[\(state.rawValue)m\(text)\u{1B}[0m" : text
    }
}
