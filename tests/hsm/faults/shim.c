/* A PKCS#11 module that does what another one does, until it is told to do wrong.
 *
 * SHIM_MODULE names the module behind it.  SHIM_BOARD names a file that is mapped by every process that loads this one:
 * an entry of eight 32-bit numbers for each function of PKCS#11 2.40, in the order of CK_FUNCTION_LIST.  A test writes
 * there what is to happen, and reads there what did.  An order counts for `times` calls, after the first `skip`.
 *
 * All arguments of these functions are CK_ULONG or pointers (one is a CK_BBOOL, which travels as such), so `unsigned
 * long` carries each of them.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FUNCTIONS 68
#define OK 0ul
#define GENERAL_ERROR 5ul

enum { OPEN_SESSION = 12, CLOSE_ALL_SESSIONS = 14, LOGOUT = 19, GET_SLOT_LIST = 4, INITIALIZE = 0, FINALIZE = 1 };

enum order {
    NOTHING,
    REFUSE,        /* return `code`, having done nothing */
    FAIL_AFTER,    /* do it, then return `code`: the caller cannot know */
    HANG,          /* until the order is taken back */
    CRASH,         /* as a wild pointer does */
    CORRUPT,       /* do it, then change one bit of what came out */
    DROP_SESSIONS, /* close every session of this process first, as a token does that restarts */
    LOG_OUT,       /* log this process out first */
    REINITIALIZE,  /* finalise and initialise the module behind first */
    DELAY,         /* wait `code` milliseconds first */
};

struct entry {
    unsigned order, code, skip, times;
    unsigned calls, done, failed, unused; /* calls that came, orders that were obeyed, calls that were not answered OK */
};

struct functions {
    unsigned char version[2];
    void *functions[FUNCTIONS];
};

struct initialize_arguments {
    void *mutex_calls[4];
    unsigned long flags;
    void *reserved;
};

typedef unsigned long (*with_1)(unsigned long);
typedef unsigned long (*with_2)(unsigned long, unsigned long);
typedef unsigned long (*with_3)(unsigned long, unsigned long, unsigned long);

static struct functions *real;
static struct functions ours;
static struct entry *board;

static void sleep_milliseconds(unsigned milliseconds) {
    struct timespec span = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
    nanosleep(&span, NULL);
}

static void close_all_sessions(void) {
    unsigned long slots[16], count = 16;
    if (((with_3)real->functions[GET_SLOT_LIST])(1, (unsigned long)slots, (unsigned long)&count) != OK) return;
    while (count--) ((with_1)real->functions[CLOSE_ALL_SESSIONS])(slots[count]);
}

static void reinitialize(void) {
    struct initialize_arguments arguments = {{0}, 2, NULL}; /* CKF_OS_LOCKING_OK */
    ((with_1)real->functions[FINALIZE])(0);
    ((with_1)real->functions[INITIALIZE])((unsigned long)&arguments);
}

/* Whether the order on `entry` counts for this call. */
static int is_due(struct entry *entry) {
    if (__atomic_load_n(&entry->order, __ATOMIC_SEQ_CST) == NOTHING) return 0;
    for (;;) {
        unsigned skip = __atomic_load_n(&entry->skip, __ATOMIC_SEQ_CST);
        if (skip == 0) break;
        if (__atomic_compare_exchange_n(&entry->skip, &skip, skip - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return 0;
    }
    for (;;) {
        unsigned times = __atomic_load_n(&entry->times, __ATOMIC_SEQ_CST);
        if (times == 0) return 0;
        if (__atomic_compare_exchange_n(&entry->times, &times, times - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) break;
    }
    __atomic_add_fetch(&entry->done, 1, __ATOMIC_SEQ_CST);
    return 1;
}

/* What happens before the call: whether the module behind is asked at all. */
static int before(struct entry *entry, enum order order, unsigned long session) {
    switch (order) {
    case REFUSE:
        return 0;
    case HANG:
        while (__atomic_load_n(&entry->order, __ATOMIC_SEQ_CST) == HANG) sleep_milliseconds(5);
        return 1;
    case CRASH:
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        return 0;
    case DROP_SESSIONS:
        close_all_sessions();
        return 1;
    case LOG_OUT:
        ((with_1)real->functions[LOGOUT])(session);
        return 1;
    case REINITIALIZE:
        reinitialize();
        return 1;
    case DELAY:
        sleep_milliseconds(entry->code);
        return 1;
    default:
        return 1;
    }
}

/* What happens after it.  `output` is where the fourth of five arguments points: where C_Sign, C_Encrypt, C_Decrypt and
   their like put what they made; nowhere when they are asked for its length only. */
static unsigned long after(struct entry *entry, enum order order, unsigned long result, unsigned char *output) {
    if (order == REFUSE || order == FAIL_AFTER) result = entry->code;
    if (order == CORRUPT && result == OK && output != NULL) output[7] ^= 1;
    if (result != OK) __atomic_add_fetch(&entry->failed, 1, __ATOMIC_SEQ_CST);
    return result;
}

#define TAKE(place)                                                                                                    \
    struct entry *entry = &board[place];                                                                               \
    __atomic_add_fetch(&entry->calls, 1, __ATOMIC_SEQ_CST);                                                            \
    enum order order = is_due(entry) ? (enum order)entry->order : NOTHING;                                             \
    unsigned long result = OK;

#define FORWARD(place, name, output, parameters, arguments, ...)                                                       \
    unsigned long name parameters {                                                                                    \
        TAKE(place)                                                                                                    \
        if (before(entry, order, a)) result = ((unsigned long(*) parameters)real->functions[place])arguments;          \
        return after(entry, order, result, (unsigned char *)(output));                                                 \
    }

#define L unsigned long
#define FORWARD_1(place, name) FORWARD(place, name, 0, (L a), (a))
#define FORWARD_2(place, name) FORWARD(place, name, 0, (L a, L b), (a, b))
#define FORWARD_3(place, name) FORWARD(place, name, 0, (L a, L b, L c), (a, b, c))
#define FORWARD_4(place, name) FORWARD(place, name, 0, (L a, L b, L c, L d), (a, b, c, d))
#define FORWARD_5(place, name) FORWARD(place, name, d, (L a, L b, L c, L d, L e), (a, b, c, d, e))
#define FORWARD_6(place, name) FORWARD(place, name, 0, (L a, L b, L c, L d, L e, L f), (a, b, c, d, e, f))
#define FORWARD_8(place, name)                                                                                         \
    FORWARD(place, name, 0, (L a, L b, L c, L d, L e, L f, L g, L h), (a, b, c, d, e, f, g, h))

/* Every function of the list but C_GetFunctionList, with the number of its arguments (PKCS#11 2.40, pkcs11f.h). */
#define EACH(WITH_1, WITH_2, WITH_3, WITH_4, WITH_5, WITH_6, WITH_8)                                                   \
    WITH_1(0, C_Initialize) WITH_1(1, C_Finalize) WITH_1(2, C_GetInfo) WITH_3(4, C_GetSlotList)                        \
    WITH_2(5, C_GetSlotInfo) WITH_2(6, C_GetTokenInfo) WITH_3(7, C_GetMechanismList) WITH_3(8, C_GetMechanismInfo)     \
    WITH_4(9, C_InitToken) WITH_3(10, C_InitPIN) WITH_5(11, C_SetPIN) WITH_5(12, C_OpenSession)                        \
    WITH_1(13, C_CloseSession) WITH_1(14, C_CloseAllSessions) WITH_2(15, C_GetSessionInfo)                             \
    WITH_3(16, C_GetOperationState) WITH_5(17, C_SetOperationState) WITH_4(18, C_Login) WITH_1(19, C_Logout)           \
    WITH_4(20, C_CreateObject) WITH_5(21, C_CopyObject) WITH_2(22, C_DestroyObject) WITH_3(23, C_GetObjectSize)        \
    WITH_4(24, C_GetAttributeValue) WITH_4(25, C_SetAttributeValue) WITH_3(26, C_FindObjectsInit)                      \
    WITH_4(27, C_FindObjects) WITH_1(28, C_FindObjectsFinal) WITH_3(29, C_EncryptInit) WITH_5(30, C_Encrypt)           \
    WITH_5(31, C_EncryptUpdate) WITH_3(32, C_EncryptFinal) WITH_3(33, C_DecryptInit) WITH_5(34, C_Decrypt)             \
    WITH_5(35, C_DecryptUpdate) WITH_3(36, C_DecryptFinal) WITH_2(37, C_DigestInit) WITH_5(38, C_Digest)               \
    WITH_3(39, C_DigestUpdate) WITH_2(40, C_DigestKey) WITH_3(41, C_DigestFinal) WITH_3(42, C_SignInit)                \
    WITH_5(43, C_Sign) WITH_3(44, C_SignUpdate) WITH_3(45, C_SignFinal) WITH_3(46, C_SignRecoverInit)                  \
    WITH_5(47, C_SignRecover) WITH_3(48, C_VerifyInit) WITH_5(49, C_Verify) WITH_3(50, C_VerifyUpdate)                 \
    WITH_3(51, C_VerifyFinal) WITH_3(52, C_VerifyRecoverInit) WITH_5(53, C_VerifyRecover)                              \
    WITH_5(54, C_DigestEncryptUpdate) WITH_5(55, C_DecryptDigestUpdate) WITH_5(56, C_SignEncryptUpdate)                \
    WITH_5(57, C_DecryptVerifyUpdate) WITH_5(58, C_GenerateKey) WITH_8(59, C_GenerateKeyPair) WITH_6(60, C_WrapKey)    \
    WITH_8(61, C_UnwrapKey) WITH_6(62, C_DeriveKey) WITH_3(63, C_SeedRandom) WITH_3(64, C_GenerateRandom)              \
    WITH_1(65, C_GetFunctionStatus) WITH_1(66, C_CancelFunction) WITH_3(67, C_WaitForSlotEvent)

EACH(FORWARD_1, FORWARD_2, FORWARD_3, FORWARD_4, FORWARD_5, FORWARD_6, FORWARD_8)

#define PLACE(place, name) ours.functions[place] = (void *)name;

unsigned long C_GetFunctionList(struct functions **list) {
    *list = &ours;
    return real == NULL ? GENERAL_ERROR : OK;
}

__attribute__((constructor)) static void load(void) {
    const char *module = getenv("SHIM_MODULE"), *path = getenv("SHIM_BOARD");
    void *library = module == NULL ? NULL : dlopen(module, RTLD_NOW | RTLD_LOCAL);
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (library == NULL || file < 0) return;
    board = mmap(NULL, FUNCTIONS * sizeof(struct entry), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    with_1 get_list = (with_1)dlsym(library, "C_GetFunctionList");
    if (board == MAP_FAILED || get_list == NULL || get_list((unsigned long)&real) != OK) {
        real = NULL;
        return;
    }
    ours = *real;
    ours.functions[3] = (void *)C_GetFunctionList;
    EACH(PLACE, PLACE, PLACE, PLACE, PLACE, PLACE, PLACE)
}
