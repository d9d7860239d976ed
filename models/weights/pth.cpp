#include "models/weights/pth.h"

#include "common/error.h"

#include <array>
#include <cstring>
#include <deque>
#include <fmt/ranges.h>
#include <map>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <ATen/ops/as_strided.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "torch.save() data is little endian and is used in place");

namespace agpnet
{

namespace
{

// ------------------------------------------------------------------------------------------------------------------ zip
// torch.save() stores without compression and always says sizes in the central directory, so only that is read.

struct ZipEntry
{
    size_t offset = 0; ///< offset of the data
    size_t size = 0;
};

using ZipEntries = std::map<std::string, ZipEntry>;

template <typename T>
T readNumber(const Bytes& bytes, uint64_t offset)
{
    require(offset <= bytes.size && sizeof(T) <= bytes.size - offset, "{}: the zip is cut off: it refers to byte {} of {}",
            bytes.name, offset, bytes.size);
    T value;
    std::memcpy(&value, bytes.data + offset, sizeof value);
    return value;
}

constexpr uint32_t localHeader = 0x04034b50;
constexpr uint32_t centralHeader = 0x02014b50;
constexpr uint32_t endRecord = 0x06054b50;
constexpr uint32_t end64Record = 0x06064b50;
constexpr uint32_t end64Locator = 0x07064b50;
constexpr size_t endRecordSize = 22;
constexpr size_t end64LocatorSize = 20;

uint64_t findEndRecord(const Bytes& bytes)
{
    constexpr size_t longestComment = 0xffff;
    if (bytes.size >= endRecordSize)
        for (uint64_t back = endRecordSize; back <= endRecordSize + longestComment && back <= bytes.size; back++)
        {
            const uint64_t at = bytes.size - back;
            if (readNumber<uint32_t>(bytes, at) == endRecord && readNumber<uint16_t>(bytes, at + 20) == back - endRecordSize)
                return at;
        }
    fail("{}: is a zip without its directory, so it was cut off", bytes.name);
}

/// Sizes that do not fit 32 bits stand in an extra field, in a fixed order, each only if its 32-bit place says so.
void readZip64Extra(const Bytes& bytes, uint64_t at, uint64_t end, std::array<uint64_t*, 3> fields)
{
    constexpr uint16_t zip64 = 1;
    while (end - at >= 4)
    {
        const auto kind = readNumber<uint16_t>(bytes, at);
        const auto size = readNumber<uint16_t>(bytes, at + 2);
        at += 4;
        require(size <= end - at, "{}: the zip's directory has an extra field that is too long", bytes.name);
        if (kind != zip64)
        {
            at += size;
            continue;
        }
        const uint64_t fieldEnd = at + size;
        for (uint64_t* field : fields)
            if (*field == 0xffffffff)
            {
                require(fieldEnd - at >= 8, "{}: the zip's directory lacks a 64-bit size", bytes.name);
                *field = readNumber<uint64_t>(bytes, at);
                at += 8;
            }
        return;
    }
}

ZipEntries readZip(const Bytes& bytes)
{
    const uint64_t end = findEndRecord(bytes);
    uint64_t count = readNumber<uint16_t>(bytes, end + 10);
    uint64_t at = readNumber<uint32_t>(bytes, end + 16);
    if (end >= end64LocatorSize && readNumber<uint32_t>(bytes, end - end64LocatorSize) == end64Locator)
    {
        const auto end64 = readNumber<uint64_t>(bytes, end - end64LocatorSize + 8);
        require(readNumber<uint32_t>(bytes, end64) == end64Record, "{}: the zip's 64-bit directory is not where it should be",
                bytes.name);
        count = readNumber<uint64_t>(bytes, end64 + 32);
        at = readNumber<uint64_t>(bytes, end64 + 48);
    }

    ZipEntries entries;
    for (uint64_t i = 0; i < count; i++)
    {
        require(readNumber<uint32_t>(bytes, at) == centralHeader, "{}: entry {} of the zip's directory is damaged", bytes.name,
                i);
        const auto flags = readNumber<uint16_t>(bytes, at + 8);
        const auto method = readNumber<uint16_t>(bytes, at + 10);
        uint64_t packed = readNumber<uint32_t>(bytes, at + 20);
        uint64_t size = readNumber<uint32_t>(bytes, at + 24);
        const auto nameSize = readNumber<uint16_t>(bytes, at + 28);
        const auto extraSize = readNumber<uint16_t>(bytes, at + 30);
        const auto commentSize = readNumber<uint16_t>(bytes, at + 32);
        uint64_t local = readNumber<uint32_t>(bytes, at + 42);
        const uint64_t nameAt = at + 46;
        const uint64_t next = nameAt + nameSize + extraSize + commentSize;
        require(next <= bytes.size, "{}: entry {} of the zip's directory is cut off", bytes.name, i);
        const std::string name(reinterpret_cast<const char*>(bytes.data) + nameAt, nameSize);
        readZip64Extra(bytes, nameAt + nameSize, nameAt + nameSize + extraSize, {&size, &packed, &local});

        require(name.find("/code/") == std::string::npos && !name.ends_with("/constants.pkl"), // before more is asked of them
                "{}: is a TorchScript program (as OpenAI distributes CLIP), not weights; take them out of it once, in Python: "
                "torch.save(torch.jit.load(\"{}\", map_location=\"cpu\").state_dict(), \"weights.pth\")",
                bytes.name, bytes.name);
        require((flags & 1) == 0, "{}: {} is encrypted", bytes.name, name);
        require(method == 0 && packed == size, "{}: {} is compressed; torch.save() stores without compression", bytes.name, name);
        require(readNumber<uint32_t>(bytes, local) == localHeader, "{}: {} is not at the place that the zip's directory states", bytes.name,
                name);
        const uint64_t data = local + 30 + readNumber<uint16_t>(bytes, local + 26) + readNumber<uint16_t>(bytes, local + 28);
        require(data <= bytes.size && size <= bytes.size - data, "{}: {} reaches beyond the end of the file", bytes.name, name);
        require(entries.emplace(name, ZipEntry{data, size}).second, "{}: has two entries called {}", bytes.name, name);
        at = next;
    }
    return entries;
}

// --------------------------------------------------------------------------------------------------------------- pickle

enum class Kind
{
    None,
    Integer, // booleans too
    Real,
    Text,
    List,  // tuples too
    Dict,  // OrderedDict too
    Class, // a global of the allow-list, named by text
    Storage,
    Tensor
};

struct Storage
{
    at::ScalarType type = at::kFloat;
    ZipEntry data;
    int64_t elements = 0;
};

struct Value
{
    Kind kind = Kind::None;
    int64_t integer = 0;
    std::string text;
    std::vector<Value*> items; // items; in a dict: key, value, key, value, ...
    Storage storage;
    at::Tensor tensor;
};

const std::map<std::string_view, at::ScalarType> storageTypes = {
    {"torch.FloatStorage", at::kFloat},   {"torch.HalfStorage", at::kHalf}, {"torch.BFloat16Storage", at::kBFloat16},
    {"torch.DoubleStorage", at::kDouble}, {"torch.LongStorage", at::kLong}, {"torch.IntStorage", at::kInt},
    {"torch.ShortStorage", at::kShort},   {"torch.CharStorage", at::kChar}, {"torch.ByteStorage", at::kByte},
    {"torch.BoolStorage", at::kBool},
};

constexpr const char* orderedDict = "collections.OrderedDict";
constexpr const char* rebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr const char* rebuildParameter = "torch._utils._rebuild_parameter";

constexpr size_t largestRank = 16;
constexpr size_t mostValues = 1 << 20; // in a pickle: an opcode of one byte makes a hundred
constexpr size_t mostItems = 1 << 17;  // in a container, and on the stack; Python writes a thousand at a time

/// The stack machine of Python's pickle, as far as state dicts need it. Values live in an arena until the end, so a list that
/// holds itself is harmless; no opcode makes more than one value, so the pickle's size bounds the work.
class Unpickler
{
public:
    Unpickler(const Bytes& bytes, const ZipEntries& entries, std::string root, const ZipEntry& pickle)
        : bytes_(bytes), entries_(entries), root_(std::move(root)), at_(pickle.offset), end_(pickle.offset + pickle.size),
          copiesLeft_(4 * static_cast<uint64_t>(bytes.size))
    {
    }

    Value* run();

private:
    template <typename T>
    T number()
    {
        T value;
        std::memcpy(&value, take(sizeof(T)), sizeof value);
        return value;
    }

    const uint8_t* take(uint64_t size)
    {
        require(size <= end_ - at_, "{}: the pickle is cut off", bytes_.name);
        const uint8_t* begin = bytes_.data + at_;
        at_ += size;
        return begin;
    }

    std::string text(uint64_t size)
    {
        const auto* begin = reinterpret_cast<const char*>(take(size));
        return {begin, size};
    }

    std::string line()
    {
        const void* found = std::memchr(bytes_.data + at_, '\n', end_ - at_);
        require(found != nullptr, "{}: the pickle is cut off", bytes_.name);
        std::string result = text(static_cast<size_t>(static_cast<const uint8_t*>(found) - (bytes_.data + at_)));
        at_++;
        return result;
    }

    Value* make(Kind kind)
    {
        require(values_.size() < mostValues, "{}: the pickle makes more than {} values", bytes_.name, mostValues);
        values_.emplace_back();
        values_.back().kind = kind;
        return &values_.back();
    }

    void push(Value* value)
    {
        require(stack_.size() < mostItems, "{}: the pickle holds more than {} values at a time", bytes_.name, mostItems);
        stack_.push_back(value);
    }
    void pushInteger(int64_t value)
    {
        push(make(Kind::Integer));
        stack_.back()->integer = value;
    }
    void pushText(std::string value)
    {
        push(make(Kind::Text));
        stack_.back()->text = std::move(value);
    }

    size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

    Value* pop()
    {
        require(stack_.size() > floor(), "{}: the pickle takes a value where there is none", bytes_.name);
        Value* value = stack_.back();
        stack_.pop_back();
        return value;
    }

    Value* top(Kind kind, const char* what)
    {
        require(stack_.size() > floor() && stack_.back()->kind == kind, "{}: the pickle needs {} and has none", bytes_.name,
                what);
        return stack_.back();
    }

    std::vector<Value*> popToMark()
    {
        require(!marks_.empty() && marks_.back() <= stack_.size(), "{}: the pickle has no mark to go back to", bytes_.name);
        const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
        std::vector<Value*> items(begin, stack_.end());
        stack_.erase(begin, stack_.end());
        marks_.pop_back();
        return items;
    }

    void pushTuple(size_t size)
    {
        Value* tuple = make(Kind::List);
        tuple->items.resize(size);
        for (size_t i = size; i-- > 0;)
            tuple->items[i] = pop();
        push(tuple);
    }

    void extend(Value* container, const std::vector<Value*>& items)
    {
        require(items.size() <= mostItems - container->items.size(), "{}: the pickle has a container of more than {} values", bytes_.name,
                mostItems);
        container->items.insert(container->items.end(), items.begin(), items.end());
    }

    void remember(uint64_t slot)
    {
        require(stack_.size() > floor(), "{}: the pickle remembers a value where there is none", bytes_.name);
        memo_[slot] = stack_.back();
    }

    void recall(uint64_t slot)
    {
        const auto found = memo_.find(slot);
        require(found != memo_.end(), "{}: the pickle refers to value {}, which it never stored", bytes_.name, slot);
        push(found->second);
    }

    void pushClass(const std::string& module, const std::string& name);
    void call();
    void loadStorage();
    at::Tensor buildTensor(const std::vector<Value*>& arguments);

    const Bytes& bytes_;
    const ZipEntries& entries_;
    std::string root_;
    uint64_t at_;
    uint64_t end_;
    uint64_t copiesLeft_; // bytes: many strided views of one large storage must not fill the memory
    std::deque<Value> values_;
    std::vector<Value*> stack_;
    std::vector<size_t> marks_;
    std::unordered_map<uint64_t, Value*> memo_;
};

void Unpickler::pushClass(const std::string& module, const std::string& name)
{
    const std::string full = module + "." + name;
    const bool known = storageTypes.contains(full) || full == orderedDict || full == rebuildTensor || full == rebuildParameter;
    require(known, "{}: holds a Python object of kind {}; only tensors in dicts are read. Save the state dict alone.",
            bytes_.name, full);
    push(make(Kind::Class));
    stack_.back()->text = full;
}

void Unpickler::loadStorage()
{
    const Value* id = pop();
    const auto& items = id->items;
    require(id->kind == Kind::List && items.size() == 5 && items[0]->kind == Kind::Text && items[0]->text == "storage" &&
                items[1]->kind == Kind::Class && items[2]->kind == Kind::Text && items[4]->kind == Kind::Integer,
            "{}: has a reference that is not ('storage', type, key, device, size)", bytes_.name);
    const auto type = storageTypes.find(items[1]->text);
    require(type != storageTypes.end(), "{}: has a storage of type {}", bytes_.name, items[1]->text);
    const std::string record = root_ + "data/" + items[2]->text;
    const auto found = entries_.find(record);
    require(found != entries_.end(), "{}: the zip lacks {}", bytes_.name, record);

    Value* value = make(Kind::Storage);
    value->storage = {type->second, found->second, items[4]->integer};
    uint64_t size = 0;
    require(value->storage.elements >= 0 &&
                multiply(static_cast<uint64_t>(value->storage.elements), c10::elementSize(type->second), size) &&
                size == found->second.size,
            "{}: {} has {} bytes, but is said to hold {} elements of {}", bytes_.name, record, found->second.size,
            value->storage.elements, items[1]->text);
    push(value);
}

at::Tensor Unpickler::buildTensor(const std::vector<Value*>& arguments)
{
    const auto integers = [](const Value* list)
    {
        if (list->kind != Kind::List || list->items.size() > largestRank)
            return false;
        for (const Value* item : list->items)
            if (item->kind != Kind::Integer || item->integer < 0)
                return false;
        return true;
    };
    require(arguments.size() >= 4 && arguments[0]->kind == Kind::Storage && arguments[1]->kind == Kind::Integer &&
                arguments[1]->integer >= 0 && integers(arguments[2]) && integers(arguments[3]) &&
                arguments[2]->items.size() == arguments[3]->items.size(),
            "{}: has a tensor whose storage, offset, shape and strides do not fit together", bytes_.name);

    const Storage& storage = arguments[0]->storage;
    const auto offset = static_cast<uint64_t>(arguments[1]->integer);
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;
    uint64_t elements = 1;
    uint64_t last = offset; // the furthest element reached
    bool fits = true;
    bool empty = false;
    bool contiguous = true;
    for (size_t i = arguments[2]->items.size(); i-- > 0;)
    {
        const auto extent = static_cast<uint64_t>(arguments[2]->items[i]->integer);
        const auto stride = static_cast<uint64_t>(arguments[3]->items[i]->integer);
        shape.insert(shape.begin(), static_cast<int64_t>(extent));
        strides.insert(strides.begin(), static_cast<int64_t>(stride));
        empty = empty || extent == 0;
        contiguous = contiguous && (extent == 1 || stride == elements);
        uint64_t step = 0;
        fits = fits && multiply(elements, extent, elements) &&
               (extent == 0 || (multiply(extent - 1, stride, step) && agpnet::add(last, step, last)));
    }
    const auto available = static_cast<uint64_t>(storage.elements);
    // More elements than the storage has would be a broadcast: never what a weight is, and a way to fill the memory.
    require(fits && elements <= available && (empty || last < available),
            "{}: has a tensor of shape [{}], strides [{}], offset {} in a storage of {} elements", bytes_.name,
            fmt::join(shape, ", "), fmt::join(strides, ", "), offset, available);

    const size_t itemSize = c10::elementSize(storage.type);
    if (empty)
        return viewTensor(bytes_, storage.data.offset, shape, storage.type);
    if (contiguous)
        return viewTensor(bytes_, storage.data.offset + offset * itemSize, shape, storage.type);
    require(elements * itemSize <= copiesLeft_, "{}: its strided tensors have more bytes than such a file has use for",
            bytes_.name);
    copiesLeft_ -= elements * itemSize;
    const at::Tensor whole = viewTensor(bytes_, storage.data.offset, {storage.elements}, storage.type);
    return at::as_strided(whole, shape, strides, static_cast<int64_t>(offset)).contiguous();
}

void Unpickler::call()
{
    const Value* arguments = pop();
    const Value* function = pop();
    require(function->kind == Kind::Class && arguments->kind == Kind::List, "{}: the pickle calls something that is no function",
            bytes_.name);
    if (function->text == orderedDict)
    {
        require(arguments->items.empty(), "{}: makes an OrderedDict in a way that is not known", bytes_.name);
        push(make(Kind::Dict));
        return;
    }
    if (function->text == rebuildParameter)
    {
        require(!arguments->items.empty() && arguments->items[0]->kind == Kind::Tensor, "{}: has a parameter without a tensor",
                bytes_.name);
        push(arguments->items[0]);
        return;
    }
    require(function->text == rebuildTensor, "{}: the pickle calls {}, which is a type", bytes_.name, function->text);
    Value* value = make(Kind::Tensor);
    value->tensor = buildTensor(arguments->items);
    push(value);
}

Value* Unpickler::run()
{
    for (;;)
    {
        const auto opcode = number<uint8_t>();
        switch (opcode)
        {
        case 0x80: // PROTO
        {
            const auto protocol = number<uint8_t>();
            require(protocol >= 2 && protocol <= 5, "{}: has pickle protocol {}, expected 2 to 5", bytes_.name, protocol);
            break;
        }
        case 0x95: // FRAME
            take(8);
            break;
        case '.': // STOP
            return pop();
        case '(': // MARK
            marks_.push_back(stack_.size());
            break;
        case '0': // POP
            pop();
            break;
        case 'N':
            push(make(Kind::None));
            break;
        case 0x88: // NEWTRUE
        case 0x89: // NEWFALSE
            pushInteger(opcode == 0x88);
            break;
        case 'J': // BININT
            pushInteger(number<int32_t>());
            break;
        case 'K': // BININT1
            pushInteger(number<uint8_t>());
            break;
        case 'M': // BININT2
            pushInteger(number<uint16_t>());
            break;
        case 0x8a: // LONG1: little endian, two's complement
        {
            const auto size = number<uint8_t>();
            require(size <= 8, "{}: the pickle has an integer of {} bytes, expected at most 8", bytes_.name, size);
            const uint8_t* digits = take(size);
            uint64_t value = size > 0 && (digits[size - 1] & 0x80) ? ~uint64_t{0} : 0;
            for (size_t i = size; i-- > 0;)
                value = value << 8 | digits[i];
            pushInteger(static_cast<int64_t>(value));
            break;
        }
        case 'G': // BINFLOAT: its value never matters here
            take(8);
            push(make(Kind::Real));
            break;
        case 'X': // BINUNICODE
            pushText(text(number<uint32_t>()));
            break;
        case 0x8c: // SHORT_BINUNICODE
            pushText(text(number<uint8_t>()));
            break;
        case '}': // EMPTY_DICT
            push(make(Kind::Dict));
            break;
        case ']': // EMPTY_LIST
        case ')': // EMPTY_TUPLE
            push(make(Kind::List));
            break;
        case 't': // TUPLE
        {
            const std::vector<Value*> items = popToMark();
            push(make(Kind::List));
            extend(stack_.back(), items);
            break;
        }
        case 0x85: // TUPLE1 to TUPLE3
        case 0x86:
        case 0x87:
            pushTuple(opcode - 0x84);
            break;
        case 'a': // APPEND
        {
            Value* item = pop();
            extend(top(Kind::List, "a list"), {item});
            break;
        }
        case 'e': // APPENDS
        {
            const std::vector<Value*> items = popToMark();
            extend(top(Kind::List, "a list"), items);
            break;
        }
        case 's': // SETITEM
        {
            Value* value = pop();
            Value* key = pop();
            extend(top(Kind::Dict, "a dict"), {key, value});
            break;
        }
        case 'u': // SETITEMS
        {
            const std::vector<Value*> items = popToMark();
            require(items.size() % 2 == 0, "{}: the pickle has a key without a value", bytes_.name);
            extend(top(Kind::Dict, "a dict"), items);
            break;
        }
        case 'b': // BUILD: a state dict's own attributes (_metadata), which hold module versions, not weights
            pop();
            top(Kind::Dict, "a dict");
            break;
        case 'q': // BINPUT
            remember(number<uint8_t>());
            break;
        case 'r': // LONG_BINPUT
            remember(number<uint32_t>());
            break;
        case 0x94: // MEMOIZE
            remember(memo_.size());
            break;
        case 'h': // BINGET
            recall(number<uint8_t>());
            break;
        case 'j': // LONG_BINGET
            recall(number<uint32_t>());
            break;
        case 'c': // GLOBAL
        {
            const std::string module = line();
            pushClass(module, line());
            break;
        }
        case 0x93: // STACK_GLOBAL
        {
            const Value* name = pop();
            const Value* module = pop();
            require(name->kind == Kind::Text && module->kind == Kind::Text, "{}: the pickle names a type by something not a text",
                    bytes_.name);
            pushClass(module->text, name->text);
            break;
        }
        case 'R': // REDUCE
            call();
            break;
        case 'Q': // BINPERSID
            loadStorage();
            break;
        default:
            fail("{}: the pickle has opcode 0x{:02x} at byte {}, which a state dict has no use for", bytes_.name, opcode,
                 at_ - 1);
        }
    }
}

StateDict tensorsOf(const Bytes& bytes, const Value* dict)
{
    StateDict result;
    for (size_t i = 0; i + 1 < dict->items.size(); i += 2)
    {
        const Value* key = dict->items[i];
        const Value* value = dict->items[i + 1];
        if (key->kind == Kind::Text && value->kind == Kind::Tensor)
            require(result.emplace(key->text, value->tensor).second, "{}: has two tensors called {}", bytes.name, key->text);
    }
    return result;
}

const Value* member(const Value* dict, std::string_view name)
{
    for (size_t i = 0; i + 1 < dict->items.size(); i += 2)
        if (dict->items[i]->kind == Kind::Text && dict->items[i]->text == name && dict->items[i + 1]->kind == Kind::Dict)
            return dict->items[i + 1];
    return nullptr;
}

} // namespace

StateDict readPth(const Bytes& bytes)
{
    const std::string_view start(reinterpret_cast<const char*>(bytes.data), bytes.size);
    require(!start.starts_with('\x80'),
            "{}: is in the format torch.save() wrote before version 1.6. Convert it once, in Python: "
            "torch.save(torch.load(old, map_location='cpu', weights_only=True), new)",
            bytes.name);
    require(start.starts_with("PK"), "{}: is not a zip, so not a .pth of torch.save()", bytes.name);
    const ZipEntries entries = readZip(bytes);

    // Everything lies in one folder, named after the file it was first saved to.
    constexpr std::string_view pickleName = "data.pkl";
    const ZipEntry* pickle = nullptr;
    std::string root;
    for (const auto& [name, entry] : entries)
        if (name.ends_with(pickleName) && (name.size() == pickleName.size() || name[name.size() - pickleName.size() - 1] == '/'))
        {
            require(pickle == nullptr, "{}: has more than one {}", bytes.name, pickleName);
            pickle = &entry;
            root = name.substr(0, name.size() - pickleName.size());
        }
    require(pickle != nullptr, "{}: is a zip without {}, so not a .pth of torch.save()", bytes.name, pickleName);
    if (const auto order = entries.find(root + "byteorder"); order != entries.end())
        require(std::string_view(reinterpret_cast<const char*>(bytes.data) + order->second.offset, order->second.size) ==
                    "little",
                "{}: was saved on a machine with another byte order", bytes.name);

    Unpickler unpickler(bytes, entries, root, *pickle);
    const Value* top = unpickler.run();
    const Value* dict = top;
    for (int level = 0; level < 2; level++) // {"model": {"state_dict": ...}} is as deep as they come
    {
        require(dict->kind == Kind::Dict, "{}: holds no dict of tensors", bytes.name);
        StateDict result = tensorsOf(bytes, dict);
        if (!result.empty())
            return result;
        const Value* inner = nullptr;
        for (const char* name : {"state_dict", "model", "teacher"})
            inner = inner ? inner : member(dict, name);
        if (inner == nullptr)
            break;
        dict = inner;
    }
    StateDict result = tensorsOf(bytes, dict);
    require(!result.empty(), "{}: holds no tensors, neither at the top nor under state_dict, model or teacher", bytes.name);
    return result;
}

StateDict readPth(const std::filesystem::path& path)
{
    return readPth(mapFile(path));
}

} // namespace agpnet
