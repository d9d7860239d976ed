#include "ptx_program.h"

#include "common/error.h"

#include <algorithm>
#include <cstring>
#include <sstream>

namespace ptx
{
namespace
{

using agpnet::fail;
using agpnet::require;

struct Move
{
    Kind kind;
    size_t bytes;
    bool isSigned = false;
};

const std::map<std::string, Move>& moves()
{
    static const std::map<std::string, Move>& all = *new std::map<std::string, Move>{
        {"ld.param.b8", {Kind::LoadParameter, 1}},
        {"ld.param.b32", {Kind::LoadParameter, 4}},
        {"ld.param.b64", {Kind::LoadParameter, 8}},
        {"ld.global.b32", {Kind::LoadGlobal, 4}},
        {"ld.global.nc.b8", {Kind::LoadReadOnly, 1}},
        {"ld.global.nc.s8", {Kind::LoadReadOnly, 1, true}},
        {"ld.global.nc.b16", {Kind::LoadReadOnly, 2}},
        {"ld.global.nc.b32", {Kind::LoadReadOnly, 4}},
        {"st.global.b32", {Kind::StoreGlobal, 4}},
        {"ld.shared.b32", {Kind::LoadShared, 4}},
        {"ld.shared.v2.b32", {Kind::LoadShared, 8}},
        {"ld.shared.v4.b32", {Kind::LoadShared, 16}},
        {"st.shared.b32", {Kind::StoreShared, 4}},
        {"st.shared.v2.b32", {Kind::StoreShared, 8}},
        {"st.shared.v4.b32", {Kind::StoreShared, 16}},
        {"bra", {Kind::Branch, 0}},
        {"bra.uni", {Kind::Branch, 0}},
        {"bar.sync", {Kind::Barrier, 0}},
        {"ret", {Kind::Return, 0}},
    };
    return all;
}

/// How LLVM takes the high half of 64 bits: { .reg .b32 tmp; mov.b64 {tmp, %r1}, %rd1; }
constexpr const char* highHalf = "{ .reg .b32 tmp; mov.b64 {tmp, ";

/// Without blanks at its ends, and with one where there are several.
std::string trimmed(const std::string& text)
{
    std::istringstream words(text);
    std::string all;
    for (std::string word; words >> word;)
        all += (all.empty() ? "" : " ") + word;
    return all;
}

bool startsWith(const std::string& text, const char* with)
{
    return text.rfind(with, 0) == 0;
}

/// Before its version 20 LLVM named types where none matters: of what is moved, chosen, or compared for being equal. Floating point is
/// compared by its own rules, and what is narrow is loaded with its sign or without.
std::string withoutType(const std::string& opcode)
{
    const size_t type = opcode.rfind('.') + 1;
    const bool moved = startsWith(opcode, "ld.") || startsWith(opcode, "st.") || startsWith(opcode, "mov.");
    const bool compared = startsWith(opcode, "selp.") || startsWith(opcode, "setp.eq.") || startsWith(opcode, "setp.ne.");
    if (startsWith(opcode, "ld.") && (opcode.ends_with(".s8") || opcode.ends_with(".s16")))
        return opcode;
    const char kind = type > 0 && type < opcode.size() ? opcode[type] : ' ';
    return ((moved || compared) && (kind == 'u' || kind == 's')) || (moved && kind == 'f')
               ? opcode.substr(0, type) + "b" + opcode.substr(type + 1)
               : opcode;
}

class Parser
{
public:
    std::map<std::string, Kernel> parse(const std::string& text)
    {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
        {
            line_++;
            line = trimmed(line.substr(0, line.find("//")));
            if (!line.empty())
                take(line);
        }
        require(!inside_, "kernel {} does not end", kernel_.name);
        return std::move(kernels_);
    }

private:
    void take(const std::string& line)
    {
        if (startsWith(line, ".visible .entry "))
            begin(line.substr(16, line.find('(') - 16));
        else if (startsWith(line, ".param "))
            parameter(line);
        else if (line == "}")
            end();
        else if (inside_ && startsWith(line, highHalf))
            instruction("mov.b64.high " + line.substr(std::strlen(highHalf), line.find('}') - std::strlen(highHalf)) +
                        line.substr(line.find("},") + 1, line.rfind(';') - line.find("},") - 1));
        else if (line == "{" || line == ")" || startsWith(line, ".reg ") || startsWith(line, ".version ") ||
                 startsWith(line, ".target ") || startsWith(line, ".address_size "))
            return;
        else if (inside_ && line.back() == ':')
            labels_[line.substr(0, line.size() - 1)] = kernel_.instructions.size();
        else if (inside_ && line.back() == ';')
            instruction(trimmed(line.substr(0, line.size() - 1)));
        else
            fail("line {} of the PTX is \"{}\"; expected an instruction, or a directive that is known here", line_, line);
    }

    void begin(const std::string& name)
    {
        inside_ = true;
        kernel_ = Kernel();
        kernel_.name = name;
        parameters_.clear();
        registers_.clear();
        labels_.clear();
        targets_.clear();
        for (const char* special : {"%tid", "%ntid", "%ctaid", "%nctaid"})
            for (const char* axis : {".x", ".y", ".z"})
                registerOf(std::string(special) + axis);
    }

    /// .param .u64 .ptr .align 1 NAME,
    void parameter(const std::string& line)
    {
        const size_t last = line.rfind(' ');
        const size_t bytes = std::stoul(line.substr(line.find_first_of("0123456789"))) / 8;
        const size_t begins = (kernel_.parameterBytes + bytes - 1) / bytes * bytes;
        parameters_[line.substr(last + 1, line.find(',') - last - 1)] = begins;
        kernel_.parameters.emplace_back(begins, bytes);
        kernel_.parameterBytes = begins + bytes;
    }

    void instruction(std::string text)
    {
        Instruction now;
        now.line = line_;
        now.text = text;
        if (text[0] == '@')
        {
            const size_t space = text.find(' ');
            now.guardHolds = text[1] != '!';
            now.guard = registerOf(text.substr(now.guardHolds ? 1 : 2, space - (now.guardHolds ? 1 : 2)));
            text = trimmed(text.substr(space));
        }
        const size_t space = std::min(text.find(' '), text.size());
        const std::string opcode = withoutType(text.substr(0, space));
        std::vector<std::string> operands;
        std::istringstream rest(text.substr(space));
        for (std::string each; std::getline(rest, each, ',');)
            operands.push_back(trimmed(each));
        require(now.guard < 0 || opcode == "bra", "{}: only bra may have a predicate here", here(now));
        const auto expect = [&](size_t count)
        { require(operands.size() == count, "{} has {} operands; expected {}", here(now), operands.size(), count); };

        if (const auto move = moves().find(opcode); move != moves().end())
        {
            now.kind = move->second.kind;
            now.bytes = move->second.bytes;
            now.isSigned = move->second.isSigned;
            switch (now.kind)
            {
            case Kind::Return:
                expect(0);
                break;
            case Kind::Barrier:
                expect(1);
                require(operands[0] == "0", "{}: only barrier 0 is known here", here(now));
                break;
            case Kind::Branch:
                expect(1);
                targets_.emplace_back(kernel_.instructions.size(), operands[0]);
                break;
            default:
                const bool stores = now.kind == Kind::StoreGlobal || now.kind == Kind::StoreShared;
                const bool shared = now.kind == Kind::LoadShared || now.kind == Kind::StoreShared;
                const size_t words = shared ? now.bytes / 4 : 1, first = stores ? 1 : 0;
                expect(1 + words);
                if (words > 1) // {%r1, %r2, %r3, %r4}
                {
                    std::string& last = operands[first + words - 1];
                    require(startsWith(operands[first], "{") && last.ends_with('}'), "{}: {} words are to be in braces", here(now), words);
                    operands[first].erase(0, 1);
                    last.pop_back();
                }
                address(stores ? operands.front() : operands.back(), now);
                for (size_t i = 0; i < words; i++)
                    now.data[i] = registerOf(operands[first + i]);
            }
        }
        else
        {
            const auto operation = operations().find(opcode);
            require(operation != operations().end(), "{}: the opcode {} is unknown here", here(now), opcode);
            expect(static_cast<size_t>(operation->second.operands) + 1);
            now.compute = operation->second.compute;
            now.to = registerOf(operands[0]);
            for (size_t i = 1; i < operands.size(); i++)
                now.from[i - 1] = registerOf(operands[i]);
        }
        kernel_.instructions.push_back(now);
    }

    /// [%rd1], [%rd1+4], [PARAMETER]
    void address(const std::string& operand, Instruction& now)
    {
        require(operand.size() > 2 && operand[0] == '[' && operand.back() == ']', "{}: {} is not an address", here(now), operand);
        const std::string inner = operand.substr(1, operand.size() - 2);
        if (now.kind == Kind::LoadParameter)
        {
            const auto it = parameters_.find(inner);
            require(it != parameters_.end(), "{}: there is no parameter {}", here(now), inner);
            now.offset = it->second;
            return;
        }
        const size_t plus = inner.find('+');
        now.from[0] = registerOf(inner.substr(0, plus));
        now.offset = plus == std::string::npos ? 0 : static_cast<uint64_t>(std::stoll(inner.substr(plus + 1)));
    }

    /// Registers by their name, and numbers, each once.
    int registerOf(const std::string& operand)
    {
        const auto [it, isNew] = registers_.emplace(operand, kernel_.registers);
        if (isNew)
        {
            kernel_.registers++;
            if (operand[0] != '%')
                kernel_.constants.emplace_back(it->second, valueOf(operand));
        }
        return it->second;
    }

    uint64_t valueOf(const std::string& number) const
    {
        size_t used = 0;
        uint64_t value = 0;
        try
        {
            if (startsWith(number, "0f"))
                value = std::stoull(number.substr(2), &used, 16), used += 2;
            else
                value = static_cast<uint64_t>(std::stoll(number, &used, 0));
        }
        catch (const std::logic_error&)
        {
            used = 0;
        }
        require(used > 0 && used == number.size(), "line {} of the PTX: \"{}\" is not a register or a number", line_, number);
        return value;
    }

    void end()
    {
        std::vector<Instruction>& all = kernel_.instructions;
        require(!all.empty() && all.back().guard < 0 && (all.back().kind == Kind::Return || all.back().kind == Kind::Branch),
                "kernel {} does not end with ret or bra", kernel_.name);
        for (const auto& [at, label] : targets_)
        {
            const auto it = labels_.find(label);
            require(it != labels_.end(), "{}: there is no label {}", here(all[at]), label);
            all[at].target = it->second;
        }
        findJoins();
        inside_ = false;
        kernels_.emplace(kernel_.name, std::move(kernel_));
    }

    /// A branch's join is the nearest of the instructions that every way from it to the end passes.
    void findJoins()
    {
        std::vector<Instruction>& all = kernel_.instructions;
        const size_t end = all.size();
        std::vector<std::vector<bool>> passed(
            end + 1, std::vector<bool>(end + 1, true)); // by every way from an instruction, itself among them
        passed[end].assign(end + 1, false);
        passed[end][end] = true;
        for (bool changed = true; changed;)
        {
            changed = false;
            for (size_t at = end; at-- > 0;)
            {
                const Instruction& now = all[at];
                const size_t jump = now.kind == Kind::Return ? end : now.target;
                const bool jumps = now.kind == Kind::Return || now.kind == Kind::Branch;
                const std::vector<bool>& one = passed[jumps ? jump : at + 1];
                const std::vector<bool>& other = passed[jumps && now.guard < 0 ? jump : at + 1];
                std::vector<bool> both(end + 1);
                for (size_t i = 0; i <= end; i++)
                    both[i] = i == at || (one[i] && other[i]);
                changed = changed || both != passed[at];
                passed[at] = std::move(both);
            }
        }
        const auto count = [&](size_t at) { return std::count(passed[at].begin(), passed[at].end(), true); };
        for (size_t at = 0; at < end; at++)
            if (all[at].kind == Kind::Branch && all[at].guard >= 0)
            {
                all[at].join = end; // the nearest is passed before all others, so most are passed from there
                for (size_t i = 0; i < end; i++)
                    if (i != at && passed[at][i] && count(i) > count(all[at].join))
                        all[at].join = i;
            }
    }

    std::string here(const Instruction& now) const
    {
        return fmt::format("kernel {}, line {} \"{}\"", kernel_.name, now.line, now.text);
    }

    std::map<std::string, Kernel> kernels_;
    Kernel kernel_;
    bool inside_ = false;
    int line_ = 0;
    std::map<std::string, size_t> parameters_, labels_;
    std::map<std::string, int> registers_;
    std::vector<std::pair<size_t, std::string>> targets_;
};

} // namespace

std::map<std::string, Kernel> parse(const std::string& text)
{
    return Parser().parse(text);
}

} // namespace ptx
