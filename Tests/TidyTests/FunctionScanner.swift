// SPDX-License-Identifier: Apache-2.0
//
// FunctionScanner.swift
// Finds functions and their lengths by counting braces; good enough for a limit, and independent of the compiler.

/// A function in a source file.
struct ScannedFunction {
    let name: String
    let line: Int
    /// Lines from the signature to the closing brace.
    let length: Int
}

enum FunctionScanner {
    /// The functions, initialisers and subscripts with a body in `lines`.
    static func functions(in lines: [String]) -> [ScannedFunction] {
        var found: [ScannedFunction] = []
        for (number, line) in lines.enumerated() where isSignature(line) {
            guard let end = bodyEnd(from: number, in: lines) else { continue }
            let name = line.trimmingPrefix { $0 == " " }.prefix(60)
            found.append(ScannedFunction(name: String(name), line: number + 1, length: end - number + 1))
        }
        return found
    }

    private static func isSignature(_ line: String) -> Bool {
        let text = line.trimmingPrefix { $0 == " " }
        guard !text.hasPrefix("//"), !text.hasPrefix("*") else { return false }
        return text.contains("func ") || text.hasPrefix("init(") || text.contains(" init(")
            || text.contains("subscript(")
    }

    /// The line of the brace that closes the first one at or after `start`; nil when a blank line comes before it.
    private static func bodyEnd(from start: Int, in lines: [String]) -> Int? {
        var depth = 0
        var isOpen = false
        for number in start..<lines.count {
            let code = withoutTextAndComments(lines[number])
            if !isOpen, code.allSatisfy({ $0 == " " }) { return nil }
            for character in code {
                if character == "{" {
                    depth += 1
                    isOpen = true
                } else if character == "}" {
                    depth -= 1
                }
                if isOpen, depth == 0 { return number }
                if !isOpen, depth < 0 { return nil }
            }
        }
        return nil
    }

    private static func withoutTextAndComments(_ line: String) -> String {
        var result = ""
        var isInText = false
        var previous: Character = " "
        for character in line {
            if character == "\"", previous != "\\" { isInText.toggle() }
            if !isInText, character == "/", previous == "/" {
                result.removeLast()
                break
            }
            if !isInText { result.append(character) }
            previous = character
        }
        return result
    }
}
