// What a folder's name or a table's label says of its pictures: one list of words for both.
#pragma once

#include <string>
#include <vector>

namespace agpnet::tools
{

enum class Meaning
{
    Good,
    Anomalous,
    /// Words such as "positive", which one takes for good and another for defective, and names with a word for good in them, such as
    /// "ok_parts".
    Unclear
};

/// Case, and what stands between the parts of a word, aside: "Non_Defective" is "nondefective".
Meaning meaningOf(const std::string& word);

/// In lower case, and without what may stand between the parts of a word: "Ground_Truth" is "groundtruth".
std::string bareWord(const std::string& word);

/// The words, as a user reads them in a message.
std::string goodWords();

/// Which names are good: those that the user named, and where none was named, the words.
class GoodNames
{
public:
    explicit GoodNames(std::vector<std::string> named = {});

    bool given() const { return !named_.empty(); }

    /// Error where that is unclear; `where` begins its sentence.
    bool isGood(const std::string& name, const std::string& where) const;

    /// The same without the Error: what is unclear is not good.
    bool isSurelyGood(const std::string& name) const;

private:
    std::vector<std::string> named_; ///< in lower case
};

} // namespace agpnet::tools
