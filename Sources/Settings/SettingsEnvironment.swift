// SPDX-License-Identifier: Apache-2.0
//
// SettingsEnvironment.swift
// Settings in environment variables, as the value itself or as the name of a file that holds it.

import Foundation

/// Reads environment variables into raw values.
enum SettingsEnvironment {
    /// What all variables with settings begin with; the section and the key follow, `__` between them.
    private static let prefix = "GOULETTE_"
    /// What the key of a variable ends with that names a file.
    private static let fileSuffix = "_file"

    /// The values in the order of the variables' names; what is wrong with one goes to `problems`.
    ///
    /// Variables without `__` are not settings: they may belong to tools.
    static func values(
        _ environment: [String: String], problems: inout [SettingsProblem]
    ) -> [SettingsLoader.RawValue] {
        var values: [SettingsLoader.RawValue] = []
        for (name, text) in environment.sorted(by: { $0.key < $1.key }) {
            guard let key = key(of: name) else { continue }
            let origin = SettingOrigin.environment(name: name)
            guard let held = keyOfFile(key) else {
                values.append(.init(key: key, text: text, origin: origin))
                continue
            }
            let direct = String(name.dropLast(fileSuffix.count))
            guard environment[direct] == nil else {
                problems.append(.init(origin: origin, message: "\(held) is set by \(direct) too; remove one of them"))
                continue
            }
            do {
                let content = try SettingsFile.text(text)
                values.append(.init(key: held, text: content.trimmingCharacters(in: .newlines), origin: origin))
            } catch {
                problems.append(.init(origin: origin, message: "cannot read \(text): \(error.localizedDescription)"))
            }
        }
        return values
    }

    /// The key that a variable stands for, whether there is one or not; nil when it is no setting.
    private static func key(of name: String) -> String? {
        guard name.hasPrefix(prefix) else { return nil }
        let parts = name.dropFirst(prefix.count).components(separatedBy: "__")
        return parts.count > 1 ? parts.joined(separator: ".").lowercased() : nil
    }

    /// The key whose value is in a file that `key`, which is no key itself, names.
    private static func keyOfFile(_ key: String) -> String? {
        guard Catalogue.definition(key) == nil, key.hasSuffix(fileSuffix) else { return nil }
        return Catalogue.definition(String(key.dropLast(fileSuffix.count)))?.name
    }
}
